// HubServer: a Hugging Face hub of a few files on a free loopback port, with trouble to order.
#pragma once

#include <httplib.h>
#include <stdlib.h>

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "minbert/base/hash.h"
#include "minbert/base/json.h"
#include "minbert/base/rng.h"

namespace minbert {

class HubServer {
 public:
  using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;
  struct Seen {
    std::string target, range, authorization;
  };

  HubServer() {
    // A proxy of the machine's own must not stand between the test and its server.
    ::setenv("no_proxy", "127.0.0.1,localhost", 1);
    server_.Get(".*", [this](const httplib::Request& request, httplib::Response& response) { answer(request, response); });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~HubServer() {
    server_.stop();
    thread_.join();
  }
  HubServer(const HubServer&) = delete;
  HubServer& operator=(const HubServer&) = delete;

  std::string url(std::string_view path = "", std::string_view host = "127.0.0.1") const {
    return fmt::format("http://{}:{}{}", host, port_, path);
  }
  /// Serves `content` under a path.
  void put(const std::string& path, std::string content) {
    put(path, [content = std::move(content)](const httplib::Request&, httplib::Response& response) {
      response.set_content(content, "application/octet-stream");
    });
  }
  void put(const std::string& path, Handler handler) {
    const std::lock_guard lock(mutex_);
    handlers_[path] = std::move(handler);
  }
  /// The next request of a path is answered by `handler`; those ordered first come first.
  void once(const std::string& path, Handler handler) {
    const std::lock_guard lock(mutex_);
    once_[path].push_back(std::move(handler));
  }
  /// A repository with these files, listed at revision main; large files (over 1,000 bytes) are named by their SHA-256, small ones as git
  /// does.
  void put_repository(const std::string& repo, const std::map<std::string, std::string>& files) {
    Json siblings = Json::array();
    for (const auto& [name, content] : files) {
      siblings.push_back({{"rfilename", name}});
      put(fmt::format("/{}/resolve/main/{}", repo, name), [content = content](const httplib::Request&, httplib::Response& response) {
        const bool large = content.size() > 1000;
        response.set_header(large ? "X-Linked-Etag" : "ETag", fmt::format("\"{}\"", large ? sha256_hex(content) : git_blob_hex(content)));
        response.set_content(content, "application/octet-stream");
      });
    }
    put(fmt::format("/api/models/{}/revision/main", repo), dump_json({{"siblings", siblings}}));
  }

  /// Every request so far, and those whose path is `path`.
  std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  std::vector<Seen> seen(std::string_view path) const {
    std::vector<Seen> result = seen();
    std::erase_if(result, [&](const Seen& request) { return request.target != path; });
    return result;
  }

 private:
  void answer(const httplib::Request& request, httplib::Response& response) {
    Handler handler;
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back({request.target, request.get_header_value("Range"), request.get_header_value("Authorization")});
      if (auto& queue = once_[request.path]; !queue.empty()) {
        handler = std::move(queue.front());
        queue.pop_front();
      } else if (const auto found = handlers_.find(request.path); found != handlers_.end()) {
        handler = found->second;
      }
    }
    if (handler)
      handler(request, response);
    else
      response.status = 404;
  }

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::map<std::string, Handler> handlers_;
  std::map<std::string, std::deque<Handler>> once_;
  std::vector<Seen> seen_;
};

/// Promises `content`, or the range asked for, and hangs up after `bytes` of it.
inline HubServer::Handler cut_after(std::string content, std::size_t bytes, std::string etag = {}) {
  return [=](const httplib::Request&, httplib::Response& response) {
    if (!etag.empty()) response.set_header("ETag", etag);
    response.set_content_provider(content.size(), "application/octet-stream",
                                  [=](std::size_t offset, std::size_t, httplib::DataSink& sink) {
                                    sink.write(content.data() + offset, std::min(bytes, content.size() - offset));
                                    return false;
                                  });
  };
}

/// Serves `content`, or the range asked for, under an entity tag.
inline HubServer::Handler with_etag(std::string content, std::string etag) {
  return [=](const httplib::Request&, httplib::Response& response) {
    response.set_header("ETag", etag);
    response.set_content(content, "application/octet-stream");
  };
}

/// An answer without content; an error brings a page, as servers do.
inline HubServer::Handler status(int code, std::map<std::string, std::string> headers = {}) {
  return [=](const httplib::Request&, httplib::Response& response) {
    response.status = code;
    for (const auto& [name, value] : headers) response.set_header(name, value);
    if (code >= 400) response.set_content("<h1>Sorry</h1>", "text/html");
  };
}

/// Serves `content` without telling its length, and whole whatever the range.
inline HubServer::Handler chunked(std::string content) {
  return [=](const httplib::Request&, httplib::Response& response) {
    response.status = 200;
    response.set_chunked_content_provider("text/plain", [=](std::size_t, httplib::DataSink& sink) {
      sink.write(content.data(), content.size());
      sink.done();
      return true;
    });
  };
}

/// Bytes that do not compress and hold every value.
inline std::string random_bytes(std::size_t size, std::uint64_t seed) {
  Rng rng(seed, "content");
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(rng.next_u32());
  return bytes;
}

}  // namespace minbert
