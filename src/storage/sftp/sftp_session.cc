#include "storage/sftp/sftp_session.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace sevenfold::storage {

namespace sftp = net::sftp;
using sftp::PacketType;
using sftp::PacketWriter;
using sftp::StatusCode;

namespace {

// Data under way per operation: enough for 2 GB/s at 2 ms or 200 MB/s at 20 ms. A read holds that
// much memory at most besides its result.
constexpr size_t kWindow = 4 << 20;
constexpr size_t kMaxRequests = 128;
// Folders read at once in a listing; each holds a server's handle.
constexpr size_t kListBatch = 32;

constexpr uint32_t kAttributePermissions = 4;

auto path_request(const std::string& path) {
    return [&path](PacketWriter& w) { w.string(path); };
}
auto extended_request(std::string_view name, const std::string& argument) {
    return [name, &argument](PacketWriter& w) { w.string(name).string(argument); };
}
auto open_request(const std::string& path, uint32_t flags, uint32_t mode) {
    return [&path, flags, mode](PacketWriter& w) {
        w.string(path).u32(flags);
        if (mode == 0)
            w.u32(0);
        else
            w.u32(kAttributePermissions).u32(mode);
    };
}

}  // namespace

sftp::Attributes SftpSession::stat(const std::string& path, std::string_view what) {
    Exchange exchange(connection_);
    return exchange.attributes(exchange.send(PacketType::stat, path_request(path)), what);
}

void SftpSession::write_new(const std::string& path, ByteView body, uint32_t mode, bool exact_mode,
                            std::string_view what) {
    Exchange exchange(connection_);
    std::string handle = exchange.handle(
        exchange.send(
            PacketType::open,
            open_request(path, sftp::kOpenWrite | sftp::kOpenCreate | sftp::kOpenExclusive, mode)),
        what);
    if (exact_mode)
        exchange.send(PacketType::fsetstat, [&](PacketWriter& w) {
            w.string(handle).u32(kAttributePermissions).u32(mode);
        });
    write_body(exchange, handle, body, what);
    // Only now, because a server may work on requests in any order.
    std::optional<uint32_t> sync;
    if (connection_.offers("fsync@openssh.com", "1"))
        sync = exchange.send(PacketType::extended, extended_request("fsync@openssh.com", handle));
    uint32_t look = exchange.send(PacketType::fstat, path_request(handle));
    if (sync) exchange.expect_ok(*sync, what);
    sftp::Attributes found = exchange.attributes(look, what);
    if (found.size && *found.size != body.size())
        throw Error(ErrorKind::io,
                    fmt::format("{}: {} bytes arrived of {}", what, *found.size, body.size()));
    exchange.expect_ok(exchange.send(PacketType::close, path_request(handle)), what);
}

void SftpSession::write_body(Exchange& exchange, const std::string& handle, ByteView body,
                             std::string_view what) {
    const size_t piece = connection_.write_size();
    const size_t most = std::clamp<size_t>(kWindow / piece, 2, kMaxRequests);
    std::deque<uint32_t> under_way;
    for (uint64_t offset = 0; offset < body.size(); offset += piece) {
        ByteView data = body.subspan(offset, std::min<size_t>(piece, body.size() - offset));
        if (under_way.size() == most) {
            exchange.expect_ok(under_way.front(), what);
            under_way.pop_front();
        }
        connection_.pace_upload(data.size());
        under_way.push_back(exchange.send(
            PacketType::write,
            [&](PacketWriter& w) {
                w.string(handle).u64(offset).u32(static_cast<uint32_t>(data.size()));
            },
            data));
    }
    for (uint32_t id : under_way) exchange.expect_ok(id, what);
}

Bytes SftpSession::read(const std::string& path, uint64_t offset, std::optional<size_t> length,
                        uint64_t limit, std::string_view what) {
    Exchange exchange(connection_);
    uint32_t open = exchange.send(PacketType::open, open_request(path, sftp::kOpenRead, 0));
    uint32_t look = exchange.send(PacketType::stat, path_request(path));
    std::string handle = exchange.handle(open, what);
    Bytes out;
    try {
        uint64_t size = exchange.attributes(look, what).size.value_or(0);
        if (!length && size > limit)
            throw Error(ErrorKind::corrupt,
                        fmt::format("{}: {} bytes, more than the {} a valid file can have", what,
                                    size, limit));
        if (!length) length = size;
        if (offset > size || *length > size - offset)
            throw Error(ErrorKind::io,
                        fmt::format("{}: short read: {} bytes at {}, the file has {}", what,
                                    *length, offset, size));
        out.resize(*length);
        read_body(exchange, handle, offset, out, what);
    } catch (const Error&) {
        if (!connection_.failed()) exchange.send(PacketType::close, path_request(handle));
        throw;
    }
    exchange.send(PacketType::close, path_request(handle));  // nothing depends on its answer
    return out;
}

void SftpSession::read_body(Exchange& exchange, const std::string& handle, uint64_t offset,
                            MutableByteView out, std::string_view what) {
    struct Piece {
        uint32_t id;
        size_t begin, length;
    };
    const size_t piece = connection_.read_size();
    const size_t most = std::clamp<size_t>(kWindow / piece, 2, kMaxRequests);
    std::deque<Piece> under_way;
    size_t asked = 0;
    auto ask = [&](size_t begin, size_t length) -> Piece {
        return {exchange.send(
                    PacketType::read,
                    [&](PacketWriter& w) {
                        w.string(handle).u64(offset + begin).u32(static_cast<uint32_t>(length));
                    }),
                begin, length};
    };
    while (asked < out.size() || !under_way.empty()) {
        while (asked < out.size() && under_way.size() < most) {
            size_t length = std::min(piece, out.size() - asked);
            connection_.pace_download(length);
            under_way.push_back(ask(asked, length));
            asked += length;
        }
        Piece next = under_way.front();
        under_way.pop_front();
        SftpConnection::Packet packet = exchange.receive(next.id);
        sftp::Reply reply = packet.reply();
        if (reply.type == PacketType::status) {
            sftp::Status status = sftp::parse_status(reply.body);
            if (status.code == StatusCode::eof)
                throw Error(ErrorKind::io, fmt::format("{}: short read: the file shrank", what));
            throw sftp_error(status, what);
        }
        ByteView data;
        if (reply.type == PacketType::data) data = sftp::parse_data(reply.body);
        if (data.empty() || data.size() > next.length)
            throw Error(ErrorKind::network,
                        fmt::format("{}: the server sent an unexpected answer", what));
        std::copy(data.begin(), data.end(), out.begin() + static_cast<ptrdiff_t>(next.begin));
        // A server may give less than was asked for.
        if (data.size() < next.length)
            under_way.push_front(ask(next.begin + data.size(), next.length - data.size()));
    }
}

void SftpSession::rename(const std::string& from, const std::string& to, std::string_view what) {
    Exchange exchange(connection_);
    auto both = [&](PacketWriter& w) { w.string(from).string(to); };
    if (can_replace()) {
        uint32_t id = exchange.send(PacketType::extended, [&](PacketWriter& w) {
            w.string("posix-rename@openssh.com");
            both(w);
        });
        exchange.expect_ok(id, what);
        return;
    }
    sftp::Status result = exchange.status(exchange.send(PacketType::rename, both), what);
    if (result.code == StatusCode::ok) return;
    // Version 3 refuses to rename onto a file that exists.
    uint32_t away = exchange.send(PacketType::remove, path_request(to));
    if (exchange.status(away, what).code != StatusCode::ok) throw sftp_error(result, what);
    exchange.expect_ok(exchange.send(PacketType::rename, both), what);
}

void SftpSession::remove(const std::string& path, std::string_view what) {
    Exchange exchange(connection_);
    exchange.expect_ok(exchange.send(PacketType::remove, path_request(path)), what);
}

std::vector<std::string> SftpSession::make_dirs(const std::vector<std::string>& paths,
                                                uint32_t mode, std::string_view what) {
    std::vector<std::string> fresh;
    for (size_t first = 0; first < paths.size(); first += kMaxRequests) {
        Exchange exchange(connection_);
        size_t end = std::min(paths.size(), first + kMaxRequests);
        std::vector<uint32_t> made, looks;
        for (size_t i = first; i < end; ++i)
            made.push_back(exchange.send(PacketType::mkdir, [&](PacketWriter& w) {
                w.string(paths[i]).u32(kAttributePermissions).u32(mode);
            }));
        std::vector<sftp::Status> results;
        for (uint32_t id : made) results.push_back(exchange.status(id, what));
        for (size_t i = first; i < end; ++i)
            looks.push_back(exchange.send(PacketType::stat, path_request(paths[i])));
        for (size_t i = first; i < end; ++i) {
            std::string name = fmt::format("{}: make folder {}", what, paths[i]);
            // "Failure" is all that version 3 says of a folder that exists.
            SftpConnection::Packet packet = exchange.receive(looks[i - first]);
            bool there = packet.reply().type == PacketType::attributes &&
                         !sftp::parse_attributes(packet.reply().body).is_regular();
            sftp::Status result = results[i - first];
            if (there) {
                if (result.code == StatusCode::ok) fresh.push_back(paths[i]);
                continue;
            }
            if (result.code == StatusCode::ok) result.code = StatusCode::failure;
            throw sftp_error(result, name);
        }
    }
    return fresh;
}

void SftpSession::sync_dir(const std::string& path, std::string_view what) {
    if (dir_sync_ == DirSync::impossible || !connection_.offers("fsync@openssh.com", "1")) return;
    // OpenSSH's server opens folders like files and syncs them; others refuse one or the other.
    Exchange exchange(connection_);
    try {
        std::string handle = exchange.handle(
            exchange.send(PacketType::open, open_request(path, sftp::kOpenRead, 0)), what);
        uint32_t sync =
            exchange.send(PacketType::extended, extended_request("fsync@openssh.com", handle));
        exchange.send(PacketType::close, path_request(handle));
        exchange.expect_ok(sync, what);
        dir_sync_ = DirSync::works;
    } catch (const Error&) {
        if (connection_.failed() || dir_sync_ == DirSync::works) throw;
        dir_sync_ = DirSync::impossible;
    }
}

void SftpSession::list(const std::vector<std::string>& paths,
                       const std::function<void(size_t, const NameEntry&)>& each,
                       const std::function<void(size_t)>& missing, std::string_view what) {
    for (size_t first = 0; first < paths.size(); first += kListBatch)
        list_batch(paths, first, std::min(kListBatch, paths.size() - first), each, missing, what);
}

void SftpSession::list_batch(const std::vector<std::string>& paths, size_t first, size_t count,
                             const std::function<void(size_t, const NameEntry&)>& each,
                             const std::function<void(size_t)>& missing, std::string_view what) {
    struct Folder {
        size_t index;
        uint32_t id;
        std::string handle;
    };
    Exchange exchange(connection_);
    std::vector<Folder> open;
    for (size_t i = first; i < first + count; ++i)
        open.push_back({i, exchange.send(PacketType::opendir, path_request(paths[i])), {}});
    std::erase_if(open, [&](Folder& folder) {
        try {
            folder.handle = exchange.handle(folder.id, what);
            return false;
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) throw;
            missing(folder.index);
            return true;
        }
    });
    while (!open.empty()) {
        for (Folder& folder : open)
            folder.id = exchange.send(PacketType::readdir, path_request(folder.handle));
        std::erase_if(open, [&](Folder& folder) {
            SftpConnection::Packet packet = exchange.receive(folder.id);
            sftp::Reply reply = packet.reply();
            if (reply.type == PacketType::name) {
                auto entries = sftp::parse_names(reply.body);
                if (entries.empty())  // would go on for ever
                    throw Error(ErrorKind::network,
                                fmt::format("{}: the server sent an unexpected answer", what));
                for (const NameEntry& entry : entries) each(folder.index, entry);
                return false;
            }
            sftp::Status status;
            if (reply.type == PacketType::status) status = sftp::parse_status(reply.body);
            // Only "end of file" makes a listing complete.
            if (status.code != StatusCode::eof) throw sftp_error(status, what);
            exchange.send(PacketType::close, path_request(folder.handle));
            return true;
        });
    }
}

std::optional<uint64_t> SftpSession::free_space(const std::string& path) {
    if (!connection_.offers("statvfs@openssh.com", "2")) return std::nullopt;
    Exchange exchange(connection_);
    SftpConnection::Packet packet = exchange.receive(
        exchange.send(PacketType::extended, extended_request("statvfs@openssh.com", path)));
    if (packet.reply().type != PacketType::extended_reply) return std::nullopt;
    sftp::FileSystem fs = sftp::parse_statvfs(packet.reply().body);
    return fs.fragment_size * fs.available_blocks;
}

}  // namespace sevenfold::storage
