// Service: refusals, keys, overload, reloads, draining, logs; exact answers under load.
#include "minbert/serve/service.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/serve/service_fixture.h"

namespace minbert {
namespace {

class Services : public ServiceTest {};

TEST_F(Services, RefusalsHaveTheShapeOfTheirFamily) {
  start({.max_client_batch_size = 3, .payload_limit = 100'000});
  const auto tei = [&](const ClientReply& reply) {
    return fmt::format("{} {}", reply.status, reply.json()["error_type"].get<std::string>());
  };
  EXPECT_EQ(tei(client().get("/nothing")), "404 Validation");
  const ClientReply wrong_method = client().get("/predict");
  EXPECT_EQ(wrong_method.status, 405);
  EXPECT_EQ(wrong_method.headers.at("allow"), "POST");
  EXPECT_EQ(client().post("/info", "{}").headers.at("allow"), "GET, HEAD");
  EXPECT_EQ(tei(post("/predict", "{\"inputs\": ")), "400 Validation");
  EXPECT_EQ(tei(client().post("/predict", "{}", "Content-Type: text/plain\r\n")), "415 Validation");
  EXPECT_EQ(tei(client().post("/predict", "{}", "")), "415 Validation");
  EXPECT_EQ(client().post("/predict", R"({"inputs": "a", "task": "mood"})", "content-type: Application/JSON; charset=utf-8\r\n").status,
            200);
  EXPECT_EQ(tei(post("/embed", R"({"inputs": ["a", "a", "a", "a"]})")), "422 Validation");
  EXPECT_EQ(post("/embed", R"({"inputs": ["a", "a", "a"]})").status, 200);
  EXPECT_EQ(tei(post("/embed", std::string(100'001, ' '))), "413 Validation");
  EXPECT_EQ(tei(post("/embed", std::string(10'000, '['))), "400 Validation");
  const Json open_ai = post("/v1/embeddings", "{").json()["error"];
  EXPECT_EQ(open_ai["code"], "validation");
  EXPECT_EQ(post("/v1/nothing", "{}").json()["error"]["type"], "invalid_request_error");
  EXPECT_EQ(post("/v1/reload", "{}").status, 401);
  const std::string json = "Content-Type: application/json\r\n";
  EXPECT_EQ(client().post("/embed", R"({"inputs": "a"})", json + "Content-Encoding: gzip\r\n").status, 415);
  EXPECT_EQ(client().post("/embed", R"({"inputs": "a"})", json + "Content-Encoding: Identity\r\n").status, 200);
  Client c = client();
  c.send("BREW / HTCPCP/1.0\r\n\r\n");
  EXPECT_EQ(c.read().status, 400);
  EXPECT_EQ(post("/embed", R"({"inputs": "a"})").status, 200);
}

TEST_F(Services, KeysGuardAllButHealth) {
  start({.api_key = "secret"});
  for (const char* open : {"/health", "/ping", "/livez", "/readyz", "/", "/openapi.json"})
    EXPECT_EQ(client().get(open).status, 200) << open;
  for (const char* closed : {"/info", "/v1/models", "/metrics"}) {
    EXPECT_EQ(client().get(closed).status, 401) << closed;
    EXPECT_EQ(client().get(closed, "Authorization: Bearer secret\r\n").status, 200) << closed;
    EXPECT_EQ(client().get(closed, "authorization: bearer secret\r\n").status, 200) << closed;
    EXPECT_EQ(client().get(closed, "Authorization: Bearer secre\r\n").status, 401) << closed;
    EXPECT_EQ(client().get(closed, "Authorization: Bearer secretsecret\r\n").status, 401) << closed;
  }
  const ClientReply refused = post("/v1/embeddings", R"({"input": "a"})");
  EXPECT_EQ(refused.headers.at("www-authenticate"), "Bearer");
  EXPECT_EQ(refused.json()["error"]["code"], "invalid_api_key");
}

TEST_F(Services, MetricsMayBeOpenToAll) {
  start({.open_metrics = true, .api_key = "secret"});
  EXPECT_EQ(client().get("/metrics").status, 200);
  EXPECT_EQ(client().get("/info").status, 401);
}

TEST_F(Services, RequestIdsCorsAndTheLog) {
  start({.cors_allow_origin = "https://a.example, https://b.example"});
  const ClientReply known = client().get("/info", "x-request-id: my-id\r\nOrigin: https://b.example\r\n");
  EXPECT_EQ(known.headers.at("x-request-id"), "my-id");
  EXPECT_EQ(known.headers.at("access-control-allow-origin"), "https://b.example");
  const ClientReply other = client().get("/info", "x-request-id: \"bad\r\nOrigin: https://evil.example\r\n");
  EXPECT_EQ(other.headers.at("x-request-id").size(), 16u);
  EXPECT_FALSE(other.headers.contains("access-control-allow-origin"));
  Client c = client();
  c.send("OPTIONS /embed HTTP/1.1\r\nHost: t\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
  const ClientReply preflight = c.read();
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.at("access-control-allow-methods"), "POST");
  const ClientReply answer = post("/predict", R"({"inputs": ["a b", "c"], "task": "mood"})");
  service_.reset();
  const std::string lines = log();
  std::vector<Json> read;
  for (std::size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1)
    read.push_back(parse_json(lines.substr(at, lines.find('\n', at) - at), "log", ErrorTag::kData));
  ASSERT_EQ(read.size(), 4u) << lines;
  EXPECT_EQ(read[0]["id"], "my-id");
  EXPECT_EQ(read[3]["route"], "/predict");
  EXPECT_EQ(read[3]["inputs"], 2);
  EXPECT_EQ(read[3]["tokens"], 7);
  EXPECT_EQ(read[3]["status"], 200);
  EXPECT_EQ(read[3]["peer"], "127.0.0.1");
  EXPECT_GT(read[3]["ms"]["total"].get<double>(), 0);
  for (const char* phase : {"tokenization", "queue", "inference"})
    EXPECT_EQ(std::stod(answer.headers.at(fmt::format("x-{}-time", phase))), read[3]["ms"][phase].get<double>()) << phase;
  EXPECT_GT(read[3]["ms"]["inference"].get<double>(), 0);
}

TEST_F(Services, CountsRequestsOnce) {
  start();
  post("/predict", R"({"inputs": "a", "task": "mood"})");
  post("/predict", R"({"inputs": ["a", "b"], "task": "mood"})");
  post("/embed", R"({"inputs": 1})");
  const std::string text = client().get("/metrics").body;
  for (const char* line : {"te_request_count{method=\"single\"} 2\n", "te_request_count{method=\"batch\"} 1\n",
                           "te_request_success{method=\"single\"} 1\n", "te_request_success{method=\"batch\"} 1\n",
                           "te_request_failure{err=\"validation\"} 1\n", "te_predict_success 3\n", "te_queue_size 0\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST_F(Services, ManyConnectionsGetTheirOwnAnswers) {
  start();
  std::vector<std::string> bodies;
  for (int i = 0; i < 24; ++i) {
    std::string text;
    for (int k = 0; k <= i % 6; ++k) text += std::string(1, static_cast<char>('a' + (i + k * k) % 6)) + " ";
    bodies.push_back(i % 3 == 0   ? fmt::format(R"({{"inputs": "{}", "task": "mood"}})", text)
                     : i % 3 == 1 ? fmt::format(R"({{"inputs": [["{}", "a"], ["b", "{}"]], "task": "same"}})", text, text)
                                  : fmt::format(R"({{"inputs": ["{}", "c"]}})", text));
  }
  const auto path = [](std::size_t i) { return i % 3 == 2 ? "/embed" : "/predict"; };
  std::vector<std::string> alone;
  for (std::size_t i = 0; i < bodies.size(); ++i) alone.push_back(post(path(i), bodies[i]).body);
  std::vector<std::future<void>> clients;
  for (std::size_t thread = 0; thread < 8; ++thread)
    clients.push_back(std::async(std::launch::async, [&, thread] {
      Client c = client();
      for (std::size_t n = 0; n < 60; ++n) {
        const std::size_t i = (n * 7 + thread * 5) % bodies.size();
        EXPECT_EQ(c.post(path(i), bodies[i]).body, alone[i]);
      }
    }));
  for (auto& done : clients) done.get();
}

TEST_F(Services, ReloadsWhileItAnswers) {
  start({.api_key = "k"});
  const std::string headers = "Content-Type: application/json\r\nAuthorization: Bearer k\r\n", body = R"({"inputs": "a b c"})";
  const std::string before = client().post("/embed", body, headers).body;
  std::atomic<bool> stop = false;
  std::atomic<int> lost = 0, old_ones = 0, new_ones = 0;
  std::jthread asking([&] {
    Client c = client();
    while (!stop) {
      const ClientReply reply = c.post("/embed", body, headers);
      if (reply.status != 200) ++lost;
      ++(reply.body == before ? old_ones : new_ones);
    }
  });
  for (int tries = 0; tries < 5000 && old_ones == 0; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  write_file(folder_ / "config.json", "{}");
  const ClientReply broken = client().post("/v1/reload", "{}", headers);
  EXPECT_EQ(broken.status, 422);
  EXPECT_NE(broken.body.find("the old model stays"), std::string::npos) << broken.body;
  EXPECT_EQ(client().post("/embed", body, headers).body, before);
  save(2);
  EXPECT_EQ(client().post("/v1/reload", "", "Authorization: Bearer k\r\n").status, 200);
  EXPECT_NE(client().post("/embed", body, headers).body, before);
  std::promise<std::string> error;
  service_->reload([&](const std::string& text) { error.set_value(text); });  // as SIGHUP does
  EXPECT_EQ(error.get_future().get(), "");
  stop = true;
  asking.join();
  EXPECT_EQ(lost, 0);
  EXPECT_GT(old_ones, 0);
}

TEST_F(Services, IsNotReadyBeforeItsModelAndWhileItDrains) {
  save();
  std::promise<void> go;
  service_ = std::make_unique<Service>(
      ServeOptions{.port = 0},
      [&] {
        go.get_future().wait();
        return load();
      },
      nullptr);
  EXPECT_EQ(client().get("/health").status, 503);
  EXPECT_EQ(client().get("/livez").status, 200);
  EXPECT_EQ(post("/embed", R"({"inputs": "a"})").json()["error_type"], "Unhealthy");
  go.set_value();
  service_->start();
  EXPECT_EQ(client().get("/health").status, 200);
  EXPECT_EQ(post("/embed", R"({"inputs": "a"})").status, 200);
  service_->drain();
  EXPECT_EQ(client().get("/readyz").status, 503);
  EXPECT_EQ(post("/embed", R"({"inputs": "a"})").status, 503);
  EXPECT_EQ(client().get("/livez").status, 200);
}

TEST_F(Services, AFullQueueIsA429) {
  start({.max_concurrent_requests = 1});
  RequestQueue& queue = *service_->engine()->queue;
  // A job whose end keeps the queue's thread: what comes after it waits.
  std::promise<void> kept, go;
  Query query;
  query.pool = Pool::kMean;
  append_text(query.rows, service_->engine()->model().tokenizer(), TaskSpec{}, "a", {}, 8);
  const auto job = std::make_shared<QueueJob>(std::vector<Query>{query});
  job->done = [&](QueueJob&) {
    kept.set_value();
    go.get_future().wait();
  };
  ASSERT_TRUE(queue.submit(job));
  kept.get_future().wait();
  Client waiting = client();
  waiting.send(Client::request("/embed", R"({"inputs": "a b c"})"));
  for (int tries = 0; tries < 5000 && queue.size() == 0; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const ClientReply refused = post("/embed", R"({"inputs": "a"})");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_EQ(refused.json()["error_type"], "Overloaded");
  go.set_value();
  EXPECT_EQ(waiting.read().status, 200);
  EXPECT_EQ(post("/embed", R"({"inputs": "a"})").status, 200);
}

TEST_F(Services, LargeAnswersAreLimited) {
  start({.answer_limit = 1 << 20});
  // 8 tokens of 6 numbers of 16 bytes: a megabyte holds 1365 such texts.
  const auto ask = [&](int texts) {
    std::string list = "[\"a\"";
    for (int i = 1; i < texts; ++i) list += ",\"a b c d e f\"";
    return post_until_taken("/embed_all", fmt::format(R"({{"inputs": {}]}})", list));
  };
  const ClientReply refused = ask(1400);
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.body.find("--answer-limit"), std::string::npos) << refused.body;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(1300).status, 200);  // what was sent takes no part
  std::string text;
  for (int i = 0; i < 11000; ++i) text += "a ";  // a token's object may take 100 bytes
  EXPECT_EQ(post("/tokenize", fmt::format(R"({{"inputs": "{}"}})", text)).status, 422);
  EXPECT_EQ(post_until_taken("/tokenize", fmt::format(R"({{"inputs": "{}"}})", text.substr(0, 20000))).status, 200);
}

TEST_F(Services, ModulesAfterTheEncoderAreAppliedAsTheRequestWants) {
  save();
  const auto backend = make_backend("ref");
  SentenceModules modules;
  DenseModule dense{.inputs = 6, .outputs = 4};
  for (int i = 0; i < 24; ++i) dense.weight.push_back(static_cast<float>(i % 5) - 1.5f);
  modules.after = {dense, NormalizeModule{}};
  write_sentence_modules(folder_.path(), modules, 6, *backend, DType::kF32);
  serve({});
  LoadedModel own = load();
  const auto expected = [&](std::vector<VectorModule> after) {
    after.insert(after.begin(), dense);
    const std::vector<InputRow> row = {{"a b", "", ""}};
    return own.models->models().front().embed(row, {.modules = {.pooling = {}, .after = std::move(after)}});
  };
  const auto got = [&](const char* settings) {
    return post("/embed", fmt::format(R"({{"inputs": "a b"{}}})", settings)).json()[0].get<std::vector<float>>();
  };
  EXPECT_EQ(got(""), expected({NormalizeModule{}}));
  EXPECT_EQ(got(R"(, "normalize": false)"), expected({}));
  EXPECT_EQ(got(R"(, "dimensions": 2)"), expected({TruncateModule{2}, NormalizeModule{}}));
  EXPECT_EQ(got(R"(, "dimensions": 2, "normalize": false)"), expected({TruncateModule{2}}));
}

TEST_F(Services, ClientsThatLeaveFreeTheQueue) {
  start({.max_batch_tokens = 8, .max_concurrent_requests = 2});
  std::string texts = "[\"a\"";
  for (int i = 0; i < 2000; ++i) texts += ",\"a b c d e f\"";
  for (int i = 0; i < 20; ++i) {
    const auto wait_until = [&](bool waits) {
      for (int tries = 0; tries < 60000 && (service_->engine()->queue->size() > 0) != waits; ++tries)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    wait_until(false);  // the one before has left
    Client leaving = client();
    leaving.send(Client::request("/embed", fmt::format(R"({{"inputs": {}]}})", texts)));
    wait_until(true);
    if (i % 2 == 0) leaving.reset();
  }
  const ClientReply reply = post_until_taken("/embed", R"({"inputs": "a"})");
  EXPECT_EQ(reply.status, 200);
  const std::string metrics = client().get("/metrics").body;
  const std::size_t at = metrics.find("\nminbert_tokens_total ");
  EXPECT_LT(std::stoi(metrics.substr(at + 22)), 19 * 16000);  // how soon the server learns of it depends on the machine
}

}  // namespace
}  // namespace minbert
