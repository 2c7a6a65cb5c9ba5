#include "storage/sftp/sftp_connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/check.h"
#include "core/log.h"
#include "net/ssh_command.h"

namespace sevenfold::storage {

namespace sftp = net::sftp;
using sftp::PacketType;
using sftp::StatusCode;

namespace {

// The most of one request's data that we use, whatever the server allows: 255 KiB is what OpenSSH
// takes, and larger requests would not be faster.
constexpr uint64_t kMaxTransfer = 255 << 10;
// For a person who types a password.
constexpr auto kPatienceForPeople = std::chrono::minutes(5);

os::ChildProcess start(const SftpConnectionOptions& options) {
    using Stream = os::ChildOptions::Stream;
    try {
        // Ctrl-C must not end ssh before we have tidied up; but one that asks needs the terminal.
        return os::ChildProcess({.argv = options.command,
                                 .input = Stream::pipe,
                                 .output = Stream::pipe,
                                 .errors = Stream::pipe,
                                 .own_group = !options.may_ask});
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::permission) throw;
        throw Error(ErrorKind::config, fmt::format("{}: {}", options.location, error.message()),
                    "Install the OpenSSH client, or check the command that replaces it.");
    }
}

int milliseconds_until(std::chrono::steady_clock::time_point until) {
    auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
}

}  // namespace

Error sftp_error(const sftp::Status& status, std::string_view what) {
    ErrorKind kind = ErrorKind::io;
    std::string_view meaning = "the server reports a failure";
    switch (status.code) {
        case StatusCode::no_such_file:
            kind = ErrorKind::not_found;
            meaning = "no such file";
            break;
        case StatusCode::permission_denied:
            kind = ErrorKind::permission;
            meaning = "permission denied";
            break;
        case StatusCode::unsupported:
            kind = ErrorKind::unsupported;
            meaning = "the server cannot do this";
            break;
        case StatusCode::no_connection:
        case StatusCode::connection_lost:
            kind = ErrorKind::network;
            break;
        default:
            break;
    }
    std::string message = fmt::format("{}: {}", what, meaning);
    if (kind == ErrorKind::io && !status.message.empty() && status.message != "Failure")
        message += " (" + printable(status.message) + ")";
    return Error(kind, message);
}

SftpConnection::SftpConnection(SftpConnectionOptions options)
    : options_(std::move(options)),
      child_(start(options_)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!stop_.valid()) throw errno_error("eventfd");
    ::fcntl(child_.input_fd(), F_SETFL, O_NONBLOCK);
    ::fcntl(child_.output_fd(), F_SETFL, O_NONBLOCK);
    {
        std::stop_callback wake(options_.stop, [this] { wake_reader(); });
        handshake();
    }
    uint64_t woken = 0;  // a request that came too late for the handshake
    [[maybe_unused]] ssize_t n = ::read(stop_.get(), &woken, sizeof woken);
    reader_ = std::thread([this] { read_replies(); });
    try {
        learn_limits();
    } catch (...) {
        child_.kill(SIGKILL);
        reader_.join();
        throw;
    }
}

SftpConnection::~SftpConnection() {
    stopping_ = true;
    child_.close_input();
    // Give the server the chance to finish by itself; ~ChildProcess kills what does not end.
    if (!failed()) child_.wait_for(std::chrono::milliseconds(500));
    wake_reader();
    reader_.join();
}

void SftpConnection::wake_reader() {
    uint64_t one = 1;
    CHECK(::write(stop_.get(), &one, sizeof one) == sizeof one);
}

void SftpConnection::handshake() {
    note_progress();
    transmit(sftp::PacketWriter(PacketType::init, 3).finish(), {});
    auto until = Clock::now() + (options_.may_ask ? std::chrono::nanoseconds(kPatienceForPeople)
                                                  : options_.stall_timeout);
    try {
        for (;;) {
            if (auto packet = deframer_.next()) {
                version_ = sftp::parse_version(*packet);
                break;
            }
            if (read_more(until)) continue;
            if (options_.stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
            throw connection_lost();
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
        throw Error(ErrorKind::unsupported,
                    fmt::format("{}: the server does not speak SFTP: {}", options_.location,
                                error.message()),
                    "The remote account's login scripts must not print anything.");
    }
    if (version_.version < 3)
        throw Error(ErrorKind::unsupported, fmt::format("{}: the server speaks SFTP version {}",
                                                        options_.location, version_.version));
}

void SftpConnection::learn_limits() {
    if (!offers("limits@openssh.com", "1")) return;
    Exchange exchange(*this);
    uint32_t id = exchange.send(PacketType::extended,
                                [](sftp::PacketWriter& w) { w.string("limits@openssh.com"); });
    Packet packet = exchange.receive(id);
    if (packet.reply().type != PacketType::extended_reply) return;
    sftp::Limits limits = sftp::parse_limits(packet.reply().body);
    // Room for the fields around the data.
    uint64_t fits =
        limits.packet == 0 ? kMaxTransfer : std::max<uint64_t>(limits.packet, 2048) - 1024;
    auto pick = [&](uint64_t limit, uint32_t unknown) {
        return limit == 0 ? unknown : static_cast<uint32_t>(std::min({limit, fits, kMaxTransfer}));
    };
    read_size_ = pick(limits.read, read_size_);
    write_size_ = pick(limits.write, write_size_);
}

// Reads once; false at the end of the stream.
bool SftpConnection::read_more(Clock::time_point until) {
    for (;;) {
        pollfd fds[] = {{child_.output_fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
        int n = ::poll(fds, 2, until == Clock::time_point::max() ? -1 : milliseconds_until(until));
        if (n < 0 && errno != EINTR) throw errno_error("poll " + options_.location);
        if (n == 0 && Clock::now() >= until) throw stalled();
        if (n <= 0) continue;
        if (fds[1].revents != 0) return false;
        MutableByteView space = deframer_.space();
        ssize_t got = ::read(child_.output_fd(), space.data(), space.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) return false;
        deframer_.filled(static_cast<size_t>(got));
        note_progress();
        return true;
    }
}

void SftpConnection::read_replies() {
    try {
        for (;;) {
            while (auto packet = deframer_.next()) deliver(*packet);
            if (!read_more(Clock::time_point::max())) break;
        }
        if (!stopping_) fail(connection_lost());
    } catch (...) {
        Error error = current_error();
        // What the server sends wrongly may be right on a new connection.
        if (error.kind() == ErrorKind::corrupt)
            error = Error(ErrorKind::network, error.message(), error.hint());
        fail(error.with_context(options_.location));
    }
}

void SftpConnection::deliver(ByteView packet) {
    uint32_t id = sftp::parse_reply(packet).id;
    std::lock_guard lock(mutex_);
    auto it = pending_.find(id);
    if (it == pending_.end() || it->second.packet)
        throw Error(ErrorKind::network, "the server answered what nobody asked");
    if (it->second.owner == nullptr) {
        pending_.erase(it);
        return;
    }
    it->second.packet = to_bytes(packet);
    it->second.owner->arrived_.notify_one();
}

Error SftpConnection::stalled() const {
    return Error(
        ErrorKind::timeout,
        fmt::format("{}: no answer for {} s", options_.location,
                    std::chrono::ceil<std::chrono::seconds>(options_.stall_timeout).count()));
}

// Why the child's output ended.
Error SftpConnection::connection_lost() {
    auto status = child_.wait_for(std::chrono::seconds(2));
    if (status) child_.wait();  // also collects the last of stderr
    std::string how = status ? "ssh ended: " + status->display() : "ssh closed its output";
    if (version_.version == 0)
        return net::explain_ssh_failure(options_.location, child_.error_tail(), how);
    std::string said = net::last_lines(child_.error_tail(), 2);
    return Error(ErrorKind::network, fmt::format("{}: the connection was lost: {}",
                                                 options_.location, said.empty() ? how : said));
}

void SftpConnection::fail(const Error& error) {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = error;
    failed_ = true;
    child_.kill(SIGKILL);
    for (auto& [id, slot] : pending_)
        if (slot.owner != nullptr) slot.owner->arrived_.notify_one();
}

void SftpConnection::throw_if_failed() {
    if (!failed_) return;
    std::lock_guard lock(mutex_);
    throw *failure_;
}

uint32_t SftpConnection::announce(Exchange& owner) {
    std::lock_guard lock(mutex_);
    if (failure_) throw *failure_;
    // Someone who comes after a quiet time must not find it counted against the server.
    if (pending_.empty()) note_progress();
    uint32_t id = next_id_++;
    pending_[id].owner = &owner;
    return id;
}

void SftpConnection::transmit(const Bytes& head, ByteView data) {
    std::lock_guard lock(write_mutex_);
    size_t total = head.size() + data.size(), sent = 0;
    while (sent < total) {
        size_t of_head = std::min(sent, head.size());
        ByteView rest = data.subspan(sent - of_head);
        os::ConstBuffer parts[] = {{head.data() + of_head, head.size() - of_head},
                                   {rest.data(), rest.size()}};
        ssize_t n = os::write_pipe(child_.input_fd(), parts, 2);
        if (n > 0) {
            sent += static_cast<size_t>(n);
            note_progress();
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            // The reader thread knows more about why; before it runs, the handshake does.
            if (!reader_.joinable()) return;
            fail(connection_lost());
        }
        throw_if_failed();
        pollfd fd{child_.input_fd(), POLLOUT, 0};
        ::poll(
            &fd, 1,
            milliseconds_until(std::min(stall_deadline(), Clock::now() + std::chrono::seconds(1))));
        if (Clock::now() >= stall_deadline()) {
            fail(stalled());
            throw_if_failed();
        }
    }
}

Bytes SftpConnection::wait_for_reply(Exchange& owner, uint32_t id) {
    std::unique_lock lock(mutex_);
    auto it = pending_.find(id);
    CHECK(it != pending_.end() && it->second.owner == &owner);
    while (!it->second.packet && !failure_) {
        auto deadline = stall_deadline();
        if (Clock::now() >= deadline) {
            lock.unlock();
            fail(stalled());
            lock.lock();
        } else {
            owner.arrived_.wait_until(lock, deadline);
        }
        it = pending_.find(id);  // others' requests may have rehashed the map
    }
    if (!it->second.packet) throw *failure_;
    Bytes packet = std::move(*it->second.packet);
    pending_.erase(it);
    return packet;
}

void SftpConnection::abandon(Exchange& owner) {
    std::lock_guard lock(mutex_);
    for (auto it = pending_.begin(); it != pending_.end();) {
        if (it->second.owner != &owner) {
            ++it;
        } else if (it->second.packet) {
            it = pending_.erase(it);
        } else {
            (it++)->second.owner = nullptr;
        }
    }
}

SftpConnection::Exchange::~Exchange() { connection_.abandon(*this); }

SftpConnection::Packet SftpConnection::Exchange::receive(uint32_t id) {
    return {connection_.wait_for_reply(*this, id)};
}

sftp::Status SftpConnection::Exchange::status(uint32_t id, std::string_view what) {
    Packet packet = receive(id);
    if (packet.reply().type != PacketType::status)
        throw Error(ErrorKind::network,
                    fmt::format("{}: the server sent an unexpected answer", what));
    return sftp::parse_status(packet.reply().body);
}

void SftpConnection::Exchange::expect_ok(uint32_t id, std::string_view what) {
    sftp::Status result = status(id, what);
    if (result.code != StatusCode::ok) throw sftp_error(result, what);
}

namespace {
// The body of a reply of one type; an error status or anything else throws.
ByteView expect(const SftpConnection::Packet& packet, PacketType type, std::string_view what) {
    sftp::Reply reply = packet.reply();
    if (reply.type == type) return reply.body;
    if (reply.type == PacketType::status) throw sftp_error(sftp::parse_status(reply.body), what);
    throw Error(ErrorKind::network, fmt::format("{}: the server sent an unexpected answer", what));
}
}  // namespace

std::string SftpConnection::Exchange::handle(uint32_t id, std::string_view what) {
    return sftp::parse_handle(expect(receive(id), PacketType::handle, what));
}

sftp::Attributes SftpConnection::Exchange::attributes(uint32_t id, std::string_view what) {
    return sftp::parse_attributes(expect(receive(id), PacketType::attributes, what));
}

}  // namespace sevenfold::storage
