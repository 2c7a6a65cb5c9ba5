#include "net/internal/wire.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "core/error.h"
#include "core/log.h"

namespace sevenfold::net::internal {
namespace {

void wait_for(int fd, short events, Deadline until) {
    for (;;) {
        auto left =
            std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now())
                .count();
        if (left <= 0) throw Error(ErrorKind::timeout, "the client is too slow");
        pollfd entry{fd, events, 0};
        int n = ::poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 1 << 30)));
        if (n > 0) return;
        if (n < 0 && errno != EINTR) throw errno_error("poll");
    }
}

bool must_wait(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

class PlainWire : public Wire {
  public:
    PlainWire(int input, int output) : input_(input), output_(output) {}

    size_t read(MutableByteView out, Deadline until) override {
        for (;;) {
            ssize_t n = ::read(input_, out.data(), out.size());
            if (n >= 0) return static_cast<size_t>(n);
            if (must_wait(errno))
                wait_for(input_, POLLIN, until);
            else if (errno == ECONNRESET)
                return 0;
            else if (errno != EINTR)
                throw Error(ErrorKind::network, errno_error("read").message());
        }
    }
    size_t write(ByteView data, Deadline until) override {
        for (;;) {
            ssize_t n = ::write(output_, data.data(), data.size());
            if (n >= 0) return static_cast<size_t>(n);
            if (must_wait(errno))
                wait_for(output_, POLLOUT, until);
            else if (errno != EINTR)
                throw Error(ErrorKind::network, errno_error("write").message());
        }
    }

    void finish(Deadline) override { ::shutdown(output_, SHUT_WR); }  // does nothing to a pipe

  private:
    int input_, output_;
};

class TlsWire : public Wire {
  public:
    TlsWire(std::shared_ptr<SSL_CTX> context, int socket)
        : context_(std::move(context)), ssl_(SSL_new(context_.get())), socket_(socket) {
        if (ssl_ == nullptr || SSL_set_fd(ssl_, socket) != 1)
            throw Error(ErrorKind::internal, "no TLS connection can be made");
        SSL_set_accept_state(ssl_);
    }
    ~TlsWire() override { SSL_free(ssl_); }

    void open(Deadline until) override {
        drive(until, [this] { return SSL_do_handshake(ssl_); });
    }
    size_t read(MutableByteView out, Deadline until) override {
        int size = static_cast<int>(std::min(out.size(), size_t{1} << 30));
        return drive(until, [&] { return SSL_read(ssl_, out.data(), size); });
    }
    size_t write(ByteView data, Deadline until) override {
        int size = static_cast<int>(std::min(data.size(), size_t{1} << 30));
        size_t n = drive(until, [&] { return SSL_write(ssl_, data.data(), size); });
        if (n == 0) throw Error(ErrorKind::network, "the client has closed the connection");
        return n;
    }
    void finish(Deadline) override {
        if (!failed_) SSL_shutdown(ssl_);
        ERR_clear_error();
    }

  private:
    template <class Call>
    size_t drive(Deadline until, Call call) {
        for (;;) {
            ERR_clear_error();
            errno = 0;
            int n = call();
            if (n > 0) return static_cast<size_t>(n);
            switch (SSL_get_error(ssl_, n)) {
                case SSL_ERROR_WANT_READ:
                    wait_for(socket_, POLLIN, until);
                    break;
                case SSL_ERROR_WANT_WRITE:
                    wait_for(socket_, POLLOUT, until);
                    break;
                case SSL_ERROR_ZERO_RETURN:
                    return 0;
                default:
                    failed_ = true;
                    ERR_clear_error();
                    throw Error(ErrorKind::network, "the TLS connection failed");
            }
        }
    }

    std::shared_ptr<SSL_CTX> context_;
    SSL* ssl_;
    int socket_;
    bool failed_ = false;
};

std::string openssl_says() {
    char text[256] = "no reason given";
    if (unsigned long code = ERR_get_error(); code != 0)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return text;
}

std::shared_ptr<SSL_CTX> load(const std::string& certificate, const std::string& key) {
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    if (!context) throw Error(ErrorKind::internal, "OpenSSL cannot be used");
    ERR_clear_error();
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1)
        throw Error(ErrorKind::config,
                    fmt::format("certificate {} cannot be used: {}", certificate, openssl_says()),
                    "It must be a readable PEM file, the server's own certificate first.");
    if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context.get()) != 1)
        throw Error(ErrorKind::config,
                    fmt::format("key {} cannot be used: {}", key, openssl_says()),
                    "It must be the certificate's key, in a readable PEM file without passphrase.");
    return context;
}

}  // namespace

std::unique_ptr<Wire> plain_wire(int input, int output) {
    return std::make_unique<PlainWire>(input, output);
}

struct TlsFiles::State {
    using Stamp = std::pair<int64_t, int64_t>;
    static Stamp stamp_of(const std::string& path) {
        struct stat st {};
        if (::stat(path.c_str(), &st) != 0) return {};
        return {st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    }

    std::string certificate, key;
    std::mutex mutex;  // guards what follows
    std::pair<Stamp, Stamp> stamps;
    std::shared_ptr<SSL_CTX> context;
};

TlsFiles::TlsFiles(std::string certificate_file, std::string key_file)
    : state_(std::make_unique<State>()) {
    state_->certificate = std::move(certificate_file);
    state_->key = std::move(key_file);
    state_->stamps = {State::stamp_of(state_->certificate), State::stamp_of(state_->key)};
    state_->context = load(state_->certificate, state_->key);
}

TlsFiles::~TlsFiles() = default;

std::unique_ptr<Wire> TlsFiles::wire(int socket) {
    std::lock_guard lock(state_->mutex);
    std::pair stamps{State::stamp_of(state_->certificate), State::stamp_of(state_->key)};
    if (stamps != state_->stamps) {
        state_->stamps = stamps;
        try {
            state_->context = load(state_->certificate, state_->key);
            log_info("the certificate {} was read anew", state_->certificate);
        } catch (const Error& error) {  // the old one serves until the new one is complete
            log_warning("{}", error.message());
        }
    }
    return std::make_unique<TlsWire>(state_->context, socket);
}

}  // namespace sevenfold::net::internal
