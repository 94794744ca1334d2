// HttpServer: replies, keep-alive, limits, slow and leaving clients, and thousands of idle connections.
#include "minbert/serve/http.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/base/error_matchers.h"
#include "tests/serve/client.h"

namespace minbert {
namespace {

class Http : public testing::Test {
 protected:
  /// A server that echoes bodies; /later is answered when `later_` is called, /held when the test answers what `held_` has, and /large has
  /// a long reply.
  void start(HttpLimits limits = {}) {
    HttpHandlers handlers;
    handlers.check = [](const HttpRequest& head) {
      return head.path == "/refused"
                 ? std::make_unique<HttpReply>(HttpReply{.status = 401, .content_type = "text/plain", .body = "no", .headers = {}})
                 : nullptr;
    };
    handlers.handle = [this](const std::shared_ptr<HttpExchange>& exchange) {
      const HttpRequest& request = exchange->request();
      if (request.path == "/held") {
        const std::lock_guard lock(mutex_);
        return held_.push_back(exchange);
      }
      if (request.path == "/large")
        return exchange->reply({.status = 200, .content_type = "text/plain", .body = std::string(kLarge, 'x'), .headers = {}});
      if (request.path != "/later")
        return exchange->reply(
            {.status = 200, .content_type = "text/plain", .body = request.path + "|" + request.body, .headers = {{"x-test", "1"}}});
      exchange->watch([this](Leaving leaving) { left_.set_value(leaving); });
      later_.set_value([exchange] { exchange->reply({.status = 200, .content_type = {}, .body = "late", .headers = {}}); });
    };
    handlers.refuse = [](const HttpRequest&, const HttpRefusal& refusal) {
      return HttpReply{.status = refusal.status, .content_type = "text/plain", .body = refusal.message, .headers = {}};
    };
    server_ = std::make_unique<HttpServer>("127.0.0.1", 0, limits, 2, handlers);
    server_->start();
  }
  Client client() { return Client(server_->port()); }

  static constexpr std::size_t kLarge = 32 << 20;  // more than sockets buffer
  std::promise<Leaving> left_;
  std::promise<std::function<void()>> later_;
  std::unique_ptr<HttpServer> server_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<HttpExchange>> held_;  // which end before the server
};

TEST_F(Http, AnswersInTurnOnOneConnection) {
  start();
  Client c = client();
  EXPECT_EQ(c.get("/a%20b?x=1").body, "/a b|");
  const ClientReply reply = c.post("/p", "body");
  EXPECT_EQ(reply.body, "/p|body");
  EXPECT_EQ(reply.headers.at("x-test"), "1");
  EXPECT_TRUE(reply.headers.contains("date"));
  c.send(Client::request("/1", "one") + Client::request("/2", "two") + "GET /3 HTTP/1.1\r\nHost: t\r\n\r\n");  // pipelined
  EXPECT_EQ(c.read().body, "/1|one");
  EXPECT_EQ(c.read().body, "/2|two");
  EXPECT_EQ(c.read().body, "/3|");
  c.send("POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(c.read().body, "/c|abcde");
  c.send("HEAD /h HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(c.read(true).headers.at("content-length"), "3");
  c.send("GET http://t:80/absolute?x HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(c.read().body, "/absolute|");
  c.send("GET /z HTTP/1.0\r\n\r\n");
  EXPECT_EQ(c.read().body, "/z|");
  EXPECT_TRUE(c.closed());
}

TEST_F(Http, RefusesWhatIsMalformedOrTooLarge) {
  start({.payload_bytes = 100'000});
  const auto status = [&](const std::string& bytes) {
    Client c = client();
    c.send(bytes);
    const int got = c.read().status;
    return c.closed() ? got : -got;
  };
  EXPECT_EQ(status("NONSENSE\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nbad header\r\n\r\n"), 400);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nContent-Length: 90000\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nLong: " + std::string(40'000, 'x') + "\r\n\r\n"), 431);
  EXPECT_EQ(status(Client::request("/", std::string(100'001, 'x'))), 413);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" + std::string(0x20000, 'x') + "\r\n0\r\n\r\n"), 413);
  EXPECT_EQ(status(Client::request("/refused", std::string(90'000, 'x'))), 401);
  // Where the body of such a request ends, nobody knows: what follows is no request.
  for (const char* coding : {"xchunked", "gzip", "gzip, chunked", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked"})
    for (const char* first : {"POST /echo", "GET /good"})
      EXPECT_EQ(status(fmt::format("{} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: {}\r\n\r\nGET /good HTTP/1.1\r\nHost: t\r\n\r\n", first,
                                   coding)),
                400)
          << first << " " << coding;
  Client c = client();
  EXPECT_EQ(c.post("/refused", std::string(1000, 'x')).status, 401);  // a small body is read, and the connection goes on
  EXPECT_EQ(c.get("/next").status, 200);
  EXPECT_EQ(client().get("/good").status, 200);
}

TEST_F(Http, AsksForABodyThatTheClientHoldsBack) {
  start();
  Client c = client();
  c.send("POST /e HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(c.read().status, 100);
  c.send("ok");
  EXPECT_EQ(c.read().body, "/e|ok");
  Client refused = client();
  refused.send("POST /refused HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(refused.read().status, 401);
}

TEST_F(Http, EndsSlowAndIdleConnections) {
  start({.header_timeout_s = 0.2, .idle_timeout_s = 0.2, .body_timeout_s = 0.2});
  Client idle = client(), head = client(), body = client();
  head.send("GET / HT");
  body.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc");
  for (Client* c : {&idle, &head, &body}) {
    EXPECT_EQ(c->read().status, 0);
    EXPECT_TRUE(c->closed());
  }
  int status = 0;  // this client may be slow too, where the machine is
  for (int tries = 0; tries < 50 && status != 200; ++tries) status = client().get("/good").status;
  EXPECT_EQ(status, 200);
}

TEST_F(Http, ASlowReaderGetsAllOfALongReply) {
  start({.body_timeout_s = 3});
  Client slow = client();
  slow.pause_s = 0.014;  // for each piece of 64 KiB: over seven seconds for all of it
  EXPECT_EQ(slow.get("/large").body.size(), kLarge);
}

TEST_F(Http, SmallChunkedBodiesReserveNoMoreThanTheyAre) {
  start();
  std::vector<std::unique_ptr<Client>> clients;
  const auto held = [&] {
    const std::lock_guard lock(mutex_);
    return held_.size();
  };
  for (std::size_t i = 0; i < 80; ++i) {
    clients.push_back(std::make_unique<Client>(server_->port()));
    clients.back()->send("POST /held HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    for (int tries = 0; tries < 1000 && held() <= i; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_EQ(held(), i + 1);
  }
  EXPECT_EQ(client().post("/p", std::string(100'000, 'x')).status, 200);
  for (const auto& exchange : held_) exchange->reply({.status = 200, .content_type = {}, .body = "late", .headers = {}});
  for (const auto& one : clients) EXPECT_EQ(one->read().body, "late");
}

TEST_F(Http, TellsWhenAClientLeaves) {
  start();
  Client half = client();
  half.send("GET /later HTTP/1.1\r\nHost: t\r\n\r\n");
  half.half_close();
  EXPECT_EQ(left_.get_future().get(), Leaving::kHalf);
  later_.get_future().get()();
  EXPECT_EQ(half.read().body, "late");  // it may still have been reading
  later_ = {};
  left_ = {};
  Client gone = client();
  gone.send("GET /later HTTP/1.1\r\nHost: t\r\n\r\n");
  const auto answer = later_.get_future().get();
  gone.reset();
  EXPECT_EQ(left_.get_future().get(), Leaving::kGone);
  answer();
  EXPECT_EQ(client().get("/good").status, 200);
}

TEST_F(Http, HoldsManyIdleConnections) {
  start({.connections = 300});
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 299; ++i) {
    idle.push_back(std::make_unique<Client>(server_->port()));
    ASSERT_EQ(idle.back()->get("/").status, 200);
  }
  EXPECT_EQ(client().get("/good").status, 200);
  // The server may learn only later that a client has left, so a new one asks again until there is room.
  const auto accepted = [&] {
    for (int tries = 0; tries < 2000; ++tries) {
      auto c = std::make_unique<Client>(server_->port());
      if (c->get("/").status == 200) return c;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    throw std::runtime_error("no connection was accepted in ten seconds");
  };
  idle.push_back(accepted());
  EXPECT_EQ(client().get("/").status, 503);
  idle.clear();
  accepted();
}

TEST_F(Http, DrainsAndSaysThatAPortIsTaken) {
  start();
  expect_error(ErrorTag::kResources, {"127.0.0.1", "in use"}, [&] { HttpServer("127.0.0.1", server_->port(), {}, 1, HttpHandlers{}); });
  Client c = client();
  c.send("GET /later HTTP/1.1\r\nHost: t\r\n\r\n");
  const auto answer = later_.get_future().get();
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    answer();
  });
  server_->drain(10);
  const ClientReply reply = c.read();
  EXPECT_EQ(reply.body, "late");
  EXPECT_EQ(reply.headers.at("connection"), "close");
}

}  // namespace
}  // namespace minbert
