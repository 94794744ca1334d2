// A client over loopback that sends any bytes, and reads one reply at a time.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "minbert/base/json.h"

namespace minbert {

struct ClientReply {
  int status = 0;                              ///< 0: the connection ended
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;

  Json json() const { return parse_json(body, "reply", ErrorTag::kData); }
};

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  double pause_s = 0;  ///< after each piece that is read

  bool connected() const { return connected_; }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  /// Closes with a reset.
  void reset() {
    const linger now = {1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(socket_);
    socket_ = -1;
  }

  ClientReply read(bool head_only = false) {
    ClientReply reply;
    const std::size_t end = fill_until("\r\n\r\n");
    if (end == std::string::npos) return reply;
    const std::string head = received_.substr(0, end);
    received_.erase(0, end + 4);
    reply.status = std::stoi(head.substr(9, 3));
    for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
      const std::string line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
      std::string name = line.substr(0, line.find(':'));
      for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c;
      reply.headers[name] = line.substr(line.find(':') + 2);
    }
    const std::size_t length = reply.headers.contains("content-length") && !head_only ? std::stoul(reply.headers["content-length"]) : 0;
    while (received_.size() < length && fill()) {
    }
    reply.body = received_.substr(0, length);
    received_.erase(0, length);
    return reply;
  }

  ClientReply get(const std::string& path, const std::string& headers = {}) {
    send("GET " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n");
    return read();
  }
  ClientReply post(const std::string& path, const std::string& body, const std::string& headers = "Content-Type: application/json\r\n") {
    send(request(path, body, headers));
    return read();
  }
  static std::string request(const std::string& path, const std::string& body,
                             const std::string& headers = "Content-Type: application/json\r\n") {
    return "POST " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  /// Whether the server has closed the connection within a minute.
  bool closed() {
    while (fill()) {
    }
    return ended_;
  }

 private:
  bool fill() {
    pollfd ready = {socket_, POLLIN, 0};
    if (::poll(&ready, 1, 60000) <= 0) return false;
    char buffer[65536];
    const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
    if (count <= 0) {
      ended_ = true;
      return false;
    }
    received_.append(buffer, static_cast<std::size_t>(count));
    ::usleep(static_cast<useconds_t>(pause_s * 1e6));
    return true;
  }
  std::size_t fill_until(std::string_view mark) {
    for (;;) {
      if (const std::size_t at = received_.find(mark); at != std::string::npos) return at;
      if (!fill()) return std::string::npos;
    }
  }

  int socket_;
  bool connected_ = false, ended_ = false;
  std::string received_;
};

}  // namespace minbert
