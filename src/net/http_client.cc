#include "net/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "core/check.h"
#include "core/error.h"

namespace sevenfold::net {
namespace {

constexpr size_t kMostHeaderBytes = 256 << 10;  // of one answer
// How long a server may take to agree to a body; one that does not know how to costs this once.
constexpr long kContinueTimeoutMs = 1000;
// How long a request may stand still once we were asked to stop.
constexpr std::chrono::seconds kGraceAfterStop{5};
// After such a pause in a body it is looked whether the other side still listens.
constexpr std::chrono::milliseconds kLookAfter{500};

void start_curl_once() {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    CHECK(started == CURLE_OK);
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string_view trimmed(std::string_view text) {
    size_t from = text.find_first_not_of(" \t\r\n");
    if (from == text.npos) return {};
    return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

std::optional<uint64_t> to_number(std::string_view text) {
    uint64_t number = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return number;
}

}  // namespace

std::string percent_encode(std::string_view text, std::string_view keep) {
    constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || keep.find(c) != keep.npos;
        if (plain)
            out += c;
        else
            ((out += '%') += kHex[byte >> 4]) += kHex[byte & 15];
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        uint8_t byte = static_cast<uint8_t>(text[i]);
        if (text[i] == '%') {
            if (text.size() - i < 3 || !from_hex(text.substr(i + 1, 2), {&byte, 1}))
                return std::nullopt;
            i += 2;
        }
        out += static_cast<char>(byte);
    }
    return out;
}

std::string_view HttpResponse::header(std::string_view name) const {
    for (const HttpHeader& header : headers)
        if (header.name == name) return header.value;
    return {};
}

std::optional<uint64_t> HttpResponse::content_length() const {
    return to_number(header("content-length"));
}

namespace {

// A socket in a folder of our own, to which libcurl connects. (It could be handed a connected
// socket, but up to 7.88 it tries to connect that all the same.)
class Meeting {
  public:
    Meeting() {
        const char* base = std::getenv("XDG_RUNTIME_DIR");
        if (base == nullptr || *base != '/' || std::strlen(base) > 60) base = "/tmp";
        folder_ = fmt::format("{}/sevenfold-XXXXXX", base);
        if (::mkdtemp(folder_.data()) == nullptr) throw errno_error("make folder " + folder_);
        path_ = folder_ + "/s";
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        CHECK(path_.size() < sizeof address.sun_path);
        std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (listener_ >= 0 &&
            ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
            ::listen(listener_, 1) == 0)
            return;
        Error failure = errno_error("listen on " + path_);
        remove();
        throw failure;
    }
    ~Meeting() { remove(); }
    Meeting(const Meeting&) = delete;
    Meeting& operator=(const Meeting&) = delete;

    const std::string& path() const { return path_; }
    // The other end of a new connection; -1 when there is none.
    int accept() {
        int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0 && errno != EAGAIN) throw errno_error("accept");
        return socket;
    }

  private:
    void remove() {
        if (listener_ >= 0) ::close(listener_);
        ::unlink(path_.c_str());
        ::rmdir(folder_.c_str());
    }
    std::string folder_, path_;
    int listener_ = -1;
};

}  // namespace

// A curl handle with the connection it keeps.
class HttpClient::Handle {
  public:
    Handle() : curl_(curl_easy_init()) { CHECK(curl_ != nullptr); }
    ~Handle() { curl_easy_cleanup(curl_); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    CURL* get() const { return curl_; }
    // Those that are open: one, except while connecting.
    const std::vector<curl_socket_t>& sockets() const { return sockets_; }
    void watch_sockets() {
        set(CURLOPT_OPENSOCKETFUNCTION, on_open);
        set(CURLOPT_OPENSOCKETDATA, this);
        set(CURLOPT_CLOSESOCKETFUNCTION, on_close);
        set(CURLOPT_CLOSESOCKETDATA, this);
    }
    // Connections go to a socket of our own, and what arrives there to options.connect, which must
    // outlive the handle. What that throws waits in connect_failure().
    void meet(const HttpOptions& options) {
        options_ = &options;
        connect_failure_ = nullptr;
        if (!meeting_) meeting_ = std::make_unique<Meeting>();
        set(CURLOPT_UNIX_SOCKET_PATH, meeting_->path().c_str());
        set(CURLOPT_PREREQFUNCTION, on_connected);
        set(CURLOPT_PREREQDATA, this);
    }
    template <class Value>
    void set(CURLoption option, Value value) {
        CURLcode code = curl_easy_setopt(curl_, option, value);
        if (code != CURLE_OK)
            throw Error(ErrorKind::internal,
                        fmt::format("libcurl refuses option {}: {}", static_cast<int>(option),
                                    curl_easy_strerror(code)));
    }

    std::exception_ptr connect_failure() const { return connect_failure_; }
    // The one that the socket came from; nullptr where libcurl connects.
    HttpChannel* channel() const { return channel_.get(); }

  private:
    static curl_socket_t on_open(void* self, curlsocktype, curl_sockaddr* address) {
        curl_socket_t made =
            ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
        if (made >= 0) static_cast<Handle*>(self)->sockets_.push_back(made);
        return made;
    }
    // Before each request; at the first over a connection, that waits to be accepted.
    static int on_connected(void* opaque, char*, char*, int, int) {
        Handle& self = *static_cast<Handle*>(opaque);
        try {
            int socket = self.meeting_->accept();
            if (socket < 0) return CURL_PREREQFUNC_OK;
            std::unique_ptr<int, void (*)(int*)> closer(&socket, [](int* fd) { ::close(*fd); });
            self.channel_ = nullptr;
            self.channel_ = self.options_->connect(socket);
            return CURL_PREREQFUNC_OK;
        } catch (...) {
            self.connect_failure_ = std::current_exception();
            return CURL_PREREQFUNC_ABORT;
        }
    }
    static int on_close(void* self, curl_socket_t socket) {
        std::erase(static_cast<Handle*>(self)->sockets_, socket);
        return ::close(socket);
    }

    const HttpOptions* options_ = nullptr;
    std::exception_ptr connect_failure_;
    std::unique_ptr<Meeting> meeting_;
    std::unique_ptr<HttpChannel> channel_;  // outlives its socket, to explain why that ended
    std::vector<curl_socket_t> sockets_;
    CURL* curl_;
};

// One request under way. The static functions are what libcurl calls; exceptions may not pass
// through it, so they wait in failure_.
class HttpClient::Transfer {
  public:
    Transfer(HttpClient& client, Handle& handle, const HttpRequest& request)
        : client_(client), handle_(handle), request_(request) {}
    ~Transfer() { curl_slist_free_all(headers_); }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    // Whether the request went over a connection that the server had closed, as far as one can
    // tell: it may go again over a new one. Asked after run() threw.
    bool went_nowhere() const { return reused_ && header_bytes_ == 0 && !failure_; }
    HttpResponse run();

  private:
    using Steady = std::chrono::steady_clock;

    void prepare();
    void add_header(const std::string& line);
    void note_progress() { last_progress_ = Steady::now(); }
    bool take_header(std::string_view line);
    bool peer_is_gone() const;
    Error error_of(CURLcode code) const;

    static size_t on_read(char* to, size_t size, size_t count, void* self);
    static int on_seek(void* self, curl_off_t offset, int origin);
    static size_t on_write(char* from, size_t size, size_t count, void* self);
    static size_t on_header(char* from, size_t size, size_t count, void* self);
    static int on_progress(void* self, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up);
    // Runs a callback's work; on an exception returns `failed`.
    template <class Result, class Work>
    Result guarded(Result failed, Work work) {
        try {
            return work();
        } catch (...) {
            failure_ = std::current_exception();
            return failed;
        }
    }

    HttpClient& client_;
    Handle& handle_;
    const HttpRequest& request_;
    HttpResponse response_;
    curl_slist* headers_ = nullptr;
    char message_[CURL_ERROR_SIZE] = {};
    size_t sent_ = 0, header_bytes_ = 0;
    bool asked_ = false, agreed_ = false;  // about Expect: 100-continue
    bool headers_ended_ = false, reused_ = false;
    std::exception_ptr failure_;
    Steady::time_point last_progress_ = Steady::now();
    curl_off_t moved_ = 0;
};

void HttpClient::Transfer::add_header(const std::string& line) {
    curl_slist* longer = curl_slist_append(headers_, line.c_str());
    CHECK(longer != nullptr);
    headers_ = longer;
}

void HttpClient::Transfer::prepare() {
    const HttpOptions& options = client_.options_;
    auto milliseconds = [](std::chrono::nanoseconds duration) {
        return static_cast<long>(
            std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
    };
    curl_easy_reset(handle_.get());  // the connection stays
    handle_.set(CURLOPT_URL, request_.url.c_str());
    handle_.set(CURLOPT_PROTOCOLS_STR, "http,https");
    handle_.set(CURLOPT_PATH_AS_IS, 1L);
    handle_.set(CURLOPT_NOSIGNAL, 1L);
    handle_.set(CURLOPT_ERRORBUFFER, message_);
    // One connection carries one request at a time: that is what the rest of this file counts on.
    handle_.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    handle_.set(CURLOPT_HTTP09_ALLOWED, 0L);
    handle_.set(CURLOPT_MAXCONNECTS, 1L);
    handle_.watch_sockets();
    if (options.connect) handle_.meet(options);
    handle_.set(CURLOPT_TCP_KEEPALIVE, 1L);
    handle_.set(CURLOPT_BUFFERSIZE, 256L << 10);
    handle_.set(CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    handle_.set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options.connect_timeout));
    handle_.set(CURLOPT_USERAGENT, "sevenfold/" SEVENFOLD_VERSION);
    if (!options.use_proxy || options.connect) handle_.set(CURLOPT_PROXY, "");
    if (!options.ca_file.empty()) {
        if (curl_easy_setopt(handle_.get(), CURLOPT_CAINFO, options.ca_file.c_str()) != CURLE_OK)
            throw Error(ErrorKind::config, "libcurl takes no file of certificates");
        handle_.set(CURLOPT_CAPATH, nullptr);
    }
    handle_.set(CURLOPT_WRITEFUNCTION, on_write);
    handle_.set(CURLOPT_WRITEDATA, this);
    handle_.set(CURLOPT_HEADERFUNCTION, on_header);
    handle_.set(CURLOPT_HEADERDATA, this);
    handle_.set(CURLOPT_NOPROGRESS, 0L);
    handle_.set(CURLOPT_XFERINFOFUNCTION, on_progress);
    handle_.set(CURLOPT_XFERINFODATA, this);
    if (request_.method == "HEAD") {
        handle_.set(CURLOPT_NOBODY, 1L);
    } else if (request_.method == "PUT" || request_.method == "POST") {
        handle_.set(CURLOPT_UPLOAD, 1L);
        handle_.set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
        handle_.set(CURLOPT_READFUNCTION, on_read);
        handle_.set(CURLOPT_READDATA, this);
        handle_.set(CURLOPT_SEEKFUNCTION, on_seek);
        handle_.set(CURLOPT_SEEKDATA, this);
        handle_.set(CURLOPT_EXPECT_100_TIMEOUT_MS, kContinueTimeoutMs);
    }
    handle_.set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    asked_ = request_.ask_first && !request_.body.empty() && !client_.continue_unknown_;
    add_header(asked_ ? "Expect: 100-continue" : "Expect:");
    add_header("Accept:");
    for (const HttpHeader& header : request_.headers) {
        CHECK((header.name + header.value).find_first_of("\r\n") == std::string::npos);
        // "Name;" is how libcurl is told to send a header without a value.
        add_header(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
    }
    handle_.set(CURLOPT_HTTPHEADER, headers_);
}

HttpResponse HttpClient::Transfer::run() {
    prepare();
    note_progress();
    CURLcode code = curl_easy_perform(handle_.get());
    long made = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_NUM_CONNECTS, &made);
    client_.connections_ += static_cast<uint64_t>(made);
    reused_ = made == 0 &&
              (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING);
    if (failure_) std::rethrow_exception(failure_);
    if (code != CURLE_OK && handle_.connect_failure())
        std::rethrow_exception(handle_.connect_failure());
    if (code == CURLE_WRITE_ERROR && response_.cut) code = CURLE_OK;
    if (code != CURLE_OK) throw error_of(code);
    if (!headers_ended_) throw Error(ErrorKind::network, "the answer was cut off");
    if (asked_ && !agreed_ && sent_ == request_.body.size()) client_.continue_unknown_ = true;
    return std::move(response_);
}

size_t HttpClient::Transfer::on_read(char* to, size_t size, size_t count, void* opaque) {
    auto& self = *static_cast<Transfer*>(opaque);
    return self.guarded<size_t>(CURL_READFUNC_ABORT, [&] {
        ByteView rest = self.request_.body.subspan(self.sent_);
        size_t bytes = std::min(rest.size(), size * count);
        if (bytes != 0 && self.client_.options_.pace_upload)
            self.client_.options_.pace_upload(bytes);
        if (bytes != 0) std::memcpy(to, rest.data(), bytes);
        self.sent_ += bytes;
        self.note_progress();
        return bytes;
    });
}

// A connection that had been closed meanwhile, or a 417, makes libcurl send the body again.
int HttpClient::Transfer::on_seek(void* opaque, curl_off_t offset, int origin) {
    auto& self = *static_cast<Transfer*>(opaque);
    if (origin != SEEK_SET || offset < 0 ||
        static_cast<uint64_t>(offset) > self.request_.body.size())
        return CURL_SEEKFUNC_FAIL;
    self.sent_ = static_cast<size_t>(offset);
    return CURL_SEEKFUNC_OK;
}

size_t HttpClient::Transfer::on_write(char* from, size_t size, size_t count, void* opaque) {
    auto& self = *static_cast<Transfer*>(opaque);
    return self.guarded<size_t>(0, [&]() -> size_t {
        size_t bytes = size * count;
        Bytes& body = self.response_.body;
        if (bytes > self.request_.response_limit - body.size()) {
            self.response_.cut = true;
            return 0;  // ends the transfer
        }
        if (body.empty())  // what a server announces is believed up to a point
            body.reserve(std::min({self.response_.content_length().value_or(0),
                                   self.request_.response_limit, uint64_t{64} << 20}));
        append(body, {reinterpret_cast<const uint8_t*>(from), bytes});
        if (self.client_.options_.pace_download) self.client_.options_.pace_download(bytes);
        self.note_progress();
        return bytes;
    });
}

size_t HttpClient::Transfer::on_header(char* from, size_t size, size_t count, void* opaque) {
    auto& self = *static_cast<Transfer*>(opaque);
    return self.guarded<size_t>(0, [&]() -> size_t {
        self.note_progress();
        return self.take_header({from, size * count}) ? size * count : 0;
    });
}

bool HttpClient::Transfer::take_header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_bytes_ > kMostHeaderBytes)
        throw Error(ErrorKind::network, "the answer's header does not end");
    if (line.starts_with("HTTP/")) {  // a status line; "100 Continue" comes before the real one
        size_t blank = line.find(' ');
        auto status = blank == line.npos ? std::nullopt : to_number(line.substr(blank + 1, 3));
        response_ = {.status = static_cast<int>(status.value_or(0))};
        agreed_ = agreed_ || response_.status == 100;
        headers_ended_ = false;
        return true;
    }
    headers_ended_ = headers_ended_ || trimmed(line).empty();
    size_t colon = line.find(':');
    if (colon == line.npos) return true;
    response_.headers.push_back(
        {lower(trimmed(line.substr(0, colon))), std::string(trimmed(line.substr(colon + 1)))});
    return true;
}

// While it sends, libcurl takes no notice of the other side's end of the connection; if that
// neither reads nor resets, the request would be stuck until stall_timeout.
bool HttpClient::Transfer::peer_is_gone() const {
    char byte;
    return sent_ != 0 && handle_.sockets().size() == 1 &&
           ::recv(handle_.sockets()[0], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

// Called at least once a second.
int HttpClient::Transfer::on_progress(void* opaque, curl_off_t, curl_off_t down, curl_off_t,
                                      curl_off_t up) {
    auto& self = *static_cast<Transfer*>(opaque);
    return self.guarded<int>(1, [&] {
        if (down + up != self.moved_) {
            self.moved_ = down + up;
            self.note_progress();
        }
        auto still = Steady::now() - self.last_progress_;
        if (still > kLookAfter && self.peer_is_gone())
            throw Error(ErrorKind::network, "the server closed the connection");
        const HttpOptions& options = self.client_.options_;
        if (options.stop.stop_requested() && still > kGraceAfterStop)
            throw Error(ErrorKind::interrupted, "interrupted");
        if (still > options.stall_timeout)
            throw Error(
                ErrorKind::timeout,
                fmt::format("no progress for {} s",
                            std::chrono::duration_cast<std::chrono::seconds>(options.stall_timeout)
                                .count()));
        return 0;
    });
}

Error HttpClient::Transfer::error_of(CURLcode code) const {
    std::string said = message_[0] != 0 ? message_ : curl_easy_strerror(code);
    if (!said.empty() && said[0] >= 'A' && said[0] <= 'Z' && !(said[1] >= 'A' && said[1] <= 'Z'))
        said[0] += 'a' - 'A';
    while (!said.empty() && (said.back() == '.' || said.back() == '\n')) said.pop_back();
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return Error(ErrorKind::network, said, "Check the host's name and this machine's DNS.");
        case CURLE_COULDNT_CONNECT: {
            long number = 0;
            curl_easy_getinfo(handle_.get(), CURLINFO_OS_ERRNO, &number);
            Error cause = errno_error("connect", static_cast<int>(number));
            return Error(ErrorKind::network, number == 0 ? said : cause.message());
        }
        case CURLE_OPERATION_TIMEDOUT:
            return Error(ErrorKind::timeout, said);
        case CURLE_PEER_FAILED_VERIFICATION:
            return Error(ErrorKind::permission,
                         fmt::format("the server's certificate is not trusted: {}", said),
                         "If the server has a certificate of its own authority, name that in "
                         "ca_file; else this may be somebody in between.");
        case CURLE_SSL_CACERT_BADFILE:
            return Error(
                ErrorKind::config,
                fmt::format("certificates to trust cannot be read: {}", client_.options_.ca_file),
                "ca_file must be a readable PEM file.");
        case CURLE_SSL_CONNECT_ERROR:
            return Error(ErrorKind::network, fmt::format("no TLS connection: {}", said),
                         "Does the server speak https on this port?");
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
            return Error(code == CURLE_URL_MALFORMAT ? ErrorKind::config : ErrorKind::network,
                         said);
        case CURLE_PARTIAL_FILE:
            return Error(ErrorKind::network, "the answer was cut off");
        case CURLE_GOT_NOTHING:
            return Error(ErrorKind::network, "the server closed the connection without an answer");
        case CURLE_OUT_OF_MEMORY:
            return Error(ErrorKind::internal, "out of memory");
        default:
            return Error(ErrorKind::network, said);
    }
}

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)) { start_curl_once(); }

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Handle> HttpClient::take() {
    std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<Handle>();
    std::unique_ptr<Handle> handle = std::move(idle_.back());  // the one used last is the warmest
    idle_.pop_back();
    return handle;
}

void HttpClient::give_back(std::unique_ptr<Handle> handle) {
    std::lock_guard lock(mutex_);
    idle_.push_back(std::move(handle));
}

HttpResponse HttpClient::perform(const HttpRequest& request) {
    for (bool again = false;; again = true) {
        // After an error the handle goes, and its connection, whose state nobody knows.
        std::unique_ptr<Handle> handle = again ? std::make_unique<Handle>() : take();
        Transfer transfer(*this, *handle, request);
        try {
            HttpResponse response = transfer.run();
            if (!response.cut) give_back(std::move(handle));
            if (options_.on_answer) options_.on_answer(response);
            return response;
        } catch (const Error& error) {
            if (!again && transfer.went_nowhere() && request.method != "POST") continue;
            if (handle->channel() != nullptr) throw handle->channel()->explain(error);
            throw;
        }
    }
}

}  // namespace sevenfold::net
