#include "database/mariadb/source/wire.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/cursor.h"

namespace sevenfold::database::mariadb::source {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kMaxRequest = 64 << 10;
constexpr size_t kSendBuffer = 256 << 10;

int poll_milliseconds(SteadyClock::time_point until) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - SteadyClock::now());
    return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 3'600'000));
}

uint32_t get_le24(const uint8_t* p) {
    return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8 |
           static_cast<uint32_t>(p[2]) << 16;
}

}  // namespace

PacketSocket::PacketSocket(os::UniqueFd fd) : fd_(std::move(fd)) { out_.reserve(kSendBuffer); }

void PacketSocket::shut_down() { ::shutdown(fd_.get(), SHUT_RDWR); }

bool PacketSocket::readable(std::chrono::milliseconds patience) {
    auto until = SteadyClock::now() + patience;
    for (;;) {
        pollfd wait{fd_.get(), POLLIN, 0};
        int n = ::poll(&wait, 1, poll_milliseconds(until));
        if (n > 0) return true;
        if (n == 0) return false;
        if (errno != EINTR) throw errno_error("a replica's connection");
    }
}

bool PacketSocket::fill(MutableByteView out, SteadyClock::time_point until) {
    size_t done = 0;
    while (done < out.size()) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(until - SteadyClock::now());
        if (left.count() <= 0 || !readable(left))
            throw Error(ErrorKind::timeout, "a client of the replication source sent nothing");
        ssize_t n = ::recv(fd_.get(), out.data() + done, out.size() - done, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw errno_error("a replica's connection");
        if (n == 0 && done == 0) return false;
        if (n == 0) throw Error(ErrorKind::network, "a client closed its connection in a packet");
        done += static_cast<size_t>(n);
    }
    return true;
}

std::optional<Bytes> PacketSocket::read(std::chrono::milliseconds patience) {
    auto until = SteadyClock::now() + patience;
    uint8_t head[4];
    if (!fill(head, until)) return {};
    uint32_t size = get_le24(head);
    if (size > kMaxRequest)
        throw Error(ErrorKind::corrupt, fmt::format("a packet of {} bytes from a client", size));
    sequence_ = static_cast<uint8_t>(head[3] + 1);
    Bytes payload(size);
    if (size > 0 && !fill(payload, until))
        throw Error(ErrorKind::network, "a client closed its connection in a packet");
    return payload;
}

void PacketSocket::write(ByteView payload, ByteView lead) {
    size_t total = lead.size() + payload.size(), done = 0;
    for (;;) {
        size_t part = std::min(total - done, kMaxPacket);
        uint8_t head[4];
        put_le32(head, static_cast<uint32_t>(part));
        head[3] = sequence_++;
        append(out_, head);
        size_t end = done + part;
        if (done < lead.size()) {
            ByteView piece = lead.subspan(done, std::min(end, lead.size()) - done);
            append(out_, piece);
            done += piece.size();
        }
        while (done < end) {
            ByteView piece = payload.subspan(done - lead.size(), std::min(end - done, kSendBuffer));
            append(out_, piece);
            done += piece.size();
            if (out_.size() >= kSendBuffer) flush();
        }
        if (part < kMaxPacket) return;  // a full one is followed by another, if only an empty one
    }
}

void PacketSocket::flush() {
    ByteView rest = out_;
    while (!rest.empty()) {
        ssize_t n = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw errno_error("send to a replica");
        rest = rest.subspan(static_cast<size_t>(n));
    }
    out_.clear();
}

Command parse_command(ByteView payload) {
    Cursor cursor(payload, "a client's command");
    Command out;
    out.type = cursor.u8();
    auto rest = [&] { return std::string(as_text(cursor.take(cursor.remaining()))); };
    switch (out.type) {
        case Command::query:
        case Command::init_db:
            out.text = rest();
            break;
        case Command::binlog_dump: {
            out.position = cursor.le32();
            ByteView flags = cursor.take(2);
            out.flags = static_cast<uint16_t>(flags[0] | flags[1] << 8);
            out.server_id = cursor.le32();
            out.text = rest();
            break;
        }
        case Command::register_replica:
            out.server_id = cursor.le32();
            break;
        default:
            break;
    }
    return out;
}

}  // namespace sevenfold::database::mariadb::source
