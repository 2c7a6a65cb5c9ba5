#include "net/internal/http_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/optional/optional.hpp>
#include <ctime>

#include "core/error.h"
#include "core/log.h"

namespace sevenfold::net::internal {
namespace {

namespace http = boost::beast::http;
using Steady = std::chrono::steady_clock;

constexpr size_t kBuffer = 64 << 10;
// What is still read of a body that nobody wants, so that the client sees the answer and not a
// reset connection.
constexpr uint64_t kDrainedBytes = 64 << 20;
constexpr std::chrono::seconds kDrainTime{10};
// An idle connection looks this often whether it is to end.
constexpr std::chrono::seconds kLookAround{1};

std::string http_date() {
    std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday,
                       kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                       parts.tm_sec);
}

ServerResponse plain(int status, std::string_view text) {
    ServerResponse response{.status = status};
    response.headers.push_back({"Content-Type", "text/plain; charset=utf-8"});
    response.body = to_bytes(text);
    return response;
}

// When a transfer that began at `start` and has moved `bytes` must have moved again.
Deadline next_deadline(const ServerLimits& limits, Steady::time_point start, uint64_t bytes) {
    auto earned = std::chrono::seconds(bytes / std::max<uint64_t>(limits.least_rate, 1));
    return std::min(Steady::now() + limits.stall_time,
                    start + limits.stall_time +
                        std::min<std::chrono::seconds>(earned, std::chrono::hours(10'000)));
}

class Connection {
  public:
    Connection(Wire& wire, const ConnectionOptions& options)
        : wire_(wire), options_(options), limits_(options.server.limits), in_(kBuffer) {}

    void run();

  private:
    class Body;

    bool serve_one();
    bool await_request();
    bool read_header(http::request_parser<http::buffer_body>& parser, ServerResponse& refusal);
    void send(ByteView data);
    bool answer(const ServerRequest& request, const ServerResponse& response, bool keep);
    void drain();

    ByteView pending() const { return ByteView(in_).subspan(begin_, end_ - begin_); }
    // More bytes behind the pending ones; false at the connection's end.
    bool fill(Deadline until);

    Wire& wire_;
    const ConnectionOptions& options_;
    const ServerLimits& limits_;
    Bytes in_;  // what came and was not yet used: [begin_, end_)
    size_t begin_ = 0, end_ = 0;
    Steady::time_point sending_since_{};
    uint64_t sent_ = 0;       // of the answer under way, header included
    uint64_t body_sent_ = 0;  // without it
};

bool Connection::fill(Deadline until) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ == in_.size()) {
        std::copy(in_.begin() + static_cast<ptrdiff_t>(begin_),
                  in_.begin() + static_cast<ptrdiff_t>(end_), in_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    size_t n = wire_.read(MutableByteView(in_).subspan(end_), until);
    end_ += n;
    return n != 0;
}

class Connection::Body : public RequestBody {
  public:
    Body(Connection& connection, http::request_parser<http::buffer_body>& parser, bool ask)
        : connection_(connection), parser_(parser), ask_(ask) {}

    size_t read(MutableByteView out) override {
        if (failed_) throw Error(ErrorKind::network, "the request's body is lost");
        if (ask_ && !parser_.is_done()) {
            connection_.send(as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
            start_ = Steady::now();
        }
        ask_ = false;
        try {
            size_t n = out.empty() ? 0 : read_some(out);
            received_ += n;
            return n;
        } catch (...) {
            failed_ = true;
            throw;
        }
    }
    uint64_t received() const { return received_; }
    bool unread() const { return !parser_.is_done(); }
    // The client waits for our word before it sends the body: there is nothing to drain.
    bool held_back() const { return ask_; }
    bool failed() const { return failed_; }

  private:
    size_t read_some(MutableByteView out) {
        while (!parser_.is_done()) {
            auto& target = parser_.get().body();
            target.data = out.data();
            target.size = out.size();
            target.more = true;
            ByteView raw = connection_.pending();
            if (!raw.empty()) {
                boost::beast::error_code error;
                connection_.begin_ +=
                    parser_.put(boost::asio::const_buffer(raw.data(), raw.size()), error);
                if (error == http::error::body_limit)
                    throw Error(ErrorKind::refused, "the request's body is too large");
                bool wait = error == http::error::need_more;
                if (error && !wait && error != http::error::need_buffer)
                    throw Error(ErrorKind::corrupt, "the request's body is not valid HTTP");
                if (size_t got = out.size() - target.size; got != 0) return got;
                if (!wait) continue;
            }
            if (!connection_.fill(next_deadline(connection_.limits_, start_, received_)))
                throw Error(ErrorKind::network, "the client has gone in the middle of the body");
        }
        return 0;
    }

    Connection& connection_;
    http::request_parser<http::buffer_body>& parser_;
    bool ask_, failed_ = false;
    uint64_t received_ = 0;
    Steady::time_point start_ = Steady::now();
};

void Connection::run() {
    wire_.open(Steady::now() + limits_.header_time);
    while (!options_.stopping() && await_request()) {
        options_.busy(true);
        bool more = serve_one();
        options_.busy(false);
        if (!more) break;
    }
    wire_.finish(Steady::now() + std::chrono::seconds(1));
}

bool Connection::await_request() {
    Deadline until = Steady::now() + limits_.idle_time;
    while (begin_ == end_) try {
            if (!fill(std::min(until, Steady::now() + kLookAround))) return false;
        } catch (const Error& error) {
            bool only_idle = error.kind() == ErrorKind::timeout && Steady::now() < until;
            if (!only_idle || options_.stopping()) return false;
        }
    return true;
}

// False at the connection's end; otherwise the header is read, or refusal's status is set.
bool Connection::read_header(http::request_parser<http::buffer_body>& parser,
                             ServerResponse& refusal) {
    Deadline until = Steady::now() + limits_.header_time;
    for (;;) {
        ByteView raw = pending();
        boost::beast::error_code error;
        begin_ += parser.put(boost::asio::const_buffer(raw.data(), raw.size()), error);
        if (parser.is_header_done() && (!error || error == http::error::need_buffer)) return true;
        if (error == http::error::header_limit || (raw.size() == in_.size() && begin_ == 0))
            refusal = plain(431, "the request's header is too large\n");
        else if (error == http::error::body_limit)
            refusal = plain(413, "the request's body is too large\n");
        else if (error && error != http::error::need_more)
            refusal = plain(400, "this is not a valid request\n");
        if (refusal.status != 200) return true;
        if (!fill(until)) return false;
    }
}

bool Connection::serve_one() {
    auto start = Steady::now();
    http::request_parser<http::buffer_body> parser;
    parser.header_limit(static_cast<uint32_t>(limits_.header_bytes));
    parser.body_limit(limits_.body_bytes);
    ServerRequest request{.peer = options_.peer};
    ServerResponse response;
    try {
        if (!read_header(parser, response)) return false;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::timeout) throw;
        response = plain(408, "the request's header did not come in time\n");
    }
    bool understood = response.status == 200;
    std::optional<Body> body;
    bool ask = false;
    if (understood) {
        const auto& message = parser.get();
        request.method = message.method_string();
        request.target = message.target();
        for (const auto& field : message) {
            std::string name(field.name_string());
            for (char& c : name)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
            request.headers.push_back({std::move(name), std::string(field.value())});
        }
        if (auto length = parser.content_length()) request.body_size = *length;
        std::string expect(request.header("expect"));
        for (char& c : expect) c = static_cast<char>(c | 0x20);
        ask = expect == "100-continue" && message.version() >= 11;
        body.emplace(*this, parser, ask);
        try {
            response = options_.handler(request, *body);
        } catch (...) {
            log_error("{} {}: {}", request.method, printable(request.target),
                      current_error().message());
            response = plain(500, "the server failed\n");
        }
    }
    bool unread = !body || body->unread();
    bool keep =
        understood && !unread && !body->failed() && parser.keep_alive() && !options_.stopping();
    bool complete = false;
    try {
        complete = answer(request, response, keep);
        if (complete && unread && !(body && body->held_back())) drain();
    } catch (...) {
        keep = false;
    }
    if (options_.server.on_served)
        options_.server.on_served({.request = request,
                                   .response = response,
                                   .received = body ? body->received() : 0,
                                   .sent = body_sent_,
                                   .complete = complete,
                                   .took = Steady::now() - start});
    return keep && complete;
}

void Connection::send(ByteView data) {
    while (!data.empty()) {
        size_t n = wire_.write(data, next_deadline(limits_, sending_since_, sent_));
        sent_ += n;
        data = data.subspan(n);
    }
}

bool Connection::answer(const ServerRequest& request, const ServerResponse& response, bool keep) {
    sending_since_ = Steady::now();
    sent_ = body_sent_ = 0;
    uint64_t size = response.fill ? response.size : response.body.size();
    std::string header = fmt::format(
        "HTTP/1.1 {} {}\r\nDate: {}\r\nServer: sevenfold\r\nContent-Length: {}\r\n",
        response.status,
        std::string_view(http::obsolete_reason(static_cast<http::status>(response.status)).data(),
                         http::obsolete_reason(static_cast<http::status>(response.status)).size()),
        http_date(), size);
    for (const HttpHeader& line : response.headers)
        header += fmt::format("{}: {}\r\n", line.name, line.value);
    header += keep ? "\r\n" : "Connection: close\r\n\r\n";
    // A short answer goes out in one piece.
    bool head = request.method == "HEAD";
    if (!head && !response.fill && size <= kBuffer) {
        header += as_text(response.body);
        send(as_bytes(header));
        body_sent_ = size;
        return true;
    }
    send(as_bytes(header));
    if (head) return true;
    if (!response.fill) {
        send(response.body);
        body_sent_ = size;
        return true;
    }
    Bytes piece(std::min<uint64_t>(size, kBuffer));
    while (body_sent_ < size) {
        MutableByteView part = MutableByteView(piece).first(
            static_cast<size_t>(std::min<uint64_t>(size - body_sent_, piece.size())));
        try {
            response.fill(part);
        } catch (...) {
            log_error("{} {}: {}", request.method, printable(request.target),
                      current_error().message());
            return false;
        }
        send(part);
        body_sent_ += part.size();
    }
    return true;
}

// A connection closed with bytes unread is reset, and the answer on its way may be lost with it.
void Connection::drain() {
    Deadline until =
        Steady::now() + std::min<std::chrono::nanoseconds>(kDrainTime, limits_.stall_time);
    wire_.finish(until);
    for (uint64_t dropped = 0; dropped < kDrainedBytes; dropped += end_ - begin_) {
        begin_ = end_ = 0;
        if (!fill(until)) return;
    }
}

}  // namespace

void serve_connection(Wire& wire, const ConnectionOptions& options) {
    try {
        Connection(wire, options).run();
    } catch (...) {
        log_debug("connection of {}: {}", options.peer, current_error().message());
    }
}

void refuse_connection(Wire& wire) {
    try {
        wire.write(as_bytes("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
                            "Content-Length: 0\r\nConnection: close\r\n\r\n"),
                   Steady::now() + std::chrono::milliseconds(10));
    } catch (const Error&) {  // it was a courtesy
    }
}

}  // namespace sevenfold::net::internal
