#include "storage/sftp/sftp_backend.h"

#include <fmt/format.h>

#include <ctime>

#include "core/error.h"
#include "core/log.h"
#include "crypto/random.h"
#include "os/file.h"

namespace sevenfold::storage {
namespace {

// A failed write to a server with less than this left is taken for a full disk: SFTP 3 has no word
// for it.
constexpr uint64_t kFullDisk = 1 << 20;

}  // namespace

SftpBackend::SftpBackend(std::string path, SftpConnectionOptions options)
    : path_(std::move(path)), options_(std::move(options)) {}

SftpBackend::~SftpBackend() = default;

Capabilities SftpBackend::capabilities() const {
    return {.connections = 5, .atomic_replace = atomic_replace_, .remote = true};
}

std::string SftpBackend::dir_of(const FileName& name) const {
    if (name.type == FileType::config) return path_;
    if (name.type == FileType::pack) return fmt::format("{}/data/{:02x}", path_, name.id.bytes[0]);
    return fmt::format("{}/{}", path_, folder(name.type));
}

std::string SftpBackend::path_of(const FileName& name) const {
    if (name.type == FileType::config) return path_ + "/config";
    return dir_of(name) + "/" + name.id.hex();
}

std::string SftpBackend::what(const FileName& name) const {
    return fmt::format("{}: {}", options_.location, name.display());
}

std::shared_ptr<SftpBackend::Session> SftpBackend::session() {
    std::lock_guard lock(connect_mutex_);
    if (!session_ || session_->connection().failed()) {
        session_.reset();  // the old child ends before the new one starts
        session_ = connect();
    }
    return session_;
}

std::shared_ptr<SftpBackend::Session> SftpBackend::connect() {
    auto made = std::make_shared<Session>(options_);
    atomic_replace_ = made->can_replace();
    try {
        auto permissions = made->stat(path_ + "/config", options_.location).permissions;
        if (permissions && (*permissions & 040) != 0) {
            made->file_mode = 0660;
            made->dir_mode = 0770;
            made->group = true;
        }
    } catch (const Error& error) {
        if (made->connection().failed()) throw;
    }
    std::vector<std::string> leftovers;
    {
        std::lock_guard lock(leftover_mutex_);
        leftovers.swap(leftovers_);
    }
    for (const std::string& path : leftovers) {
        try {
            made->remove(path, path);
        } catch (const Error&) {
            if (made->connection().failed()) throw;
        }
    }
    return made;
}

// Runs an operation on the session. What a server says wrongly inside a packet is its failure, not
// damage of what is stored.
template <class Operation>
auto SftpBackend::perform(std::string_view what, Operation operation) {
    std::shared_ptr<Session> held = session();
    try {
        return operation(*held);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt || error.message().starts_with(what)) throw;
        throw Error(ErrorKind::network, fmt::format("{}: {}", what, error.message()));
    }
}

void SftpBackend::create() {
    perform(options_.location, [&](Session& s) {
        bool present = true;
        try {
            s.stat(path_of({FileType::config}), what({FileType::config}));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) throw;
            present = false;
        }
        if (present)
            throw Error(ErrorKind::exists,
                        fmt::format("{}: a repository is there already", options_.location),
                        "Use it as it is, or choose another folder.");
        std::vector<std::string> dirs;
        for (size_t i = path_.find('/', 1); i != path_.npos; i = path_.find('/', i + 1))
            dirs.push_back(path_.substr(0, i));
        dirs.push_back(path_);
        for (FileType type : kListedTypes)
            dirs.push_back(fmt::format("{}/{}", path_, folder(type)));
        for (int i = 0; i < 256; ++i) dirs.push_back(fmt::format("{}/data/{:02x}", path_, i));
        std::vector<std::string> made = s.make_dirs(dirs, s.dir_mode, options_.location);
        s.sync_dir(path_ + "/data", options_.location);
        s.sync_dir(path_, options_.location);
        sync_parent(s, path_);  // also when it was there: a run that was killed may have made it
        for (const std::string& dir : made)
            if (dir != path_ && path_.starts_with(dir)) sync_parent(s, dir);
    });
}

// Makes a folder's own name durable, if the server can; the syncs of our own folders told already.
void SftpBackend::sync_parent(Session& s, const std::string& dir) try {
    s.sync_dir(os::parent_dir(dir), options_.location);
} catch (const Error& error) {
    // What lies above the repository may be closed to us, and not every server says so clearly.
    if (s.connection().failed()) throw;
    log_debug("sync: {}", error.message());
}

// Of runs that were killed; nobody remembers their temporary files.
void SftpBackend::remove_old_leftovers(Session& s, const FileName& name) try {
    std::string dir = dir_of(name);
    int64_t oldest = std::time(nullptr) - std::chrono::seconds(kLeftoverAge).count();
    std::vector<std::string> found;
    s.list(
        {dir},
        [&](size_t, const SftpSession::NameEntry& entry) {
            const auto& attributes = entry.attributes;
            if (is_temporary_name(name.type, entry.name) && attributes.is_regular() &&
                attributes.modified && *attributes.modified < oldest)
                found.push_back(dir + "/" + entry.name);
        },
        [](size_t) {}, options_.location);
    for (const std::string& path : found) s.remove(path, path);
} catch (const Error& error) {
    if (s.connection().failed()) throw;
    log_debug("leftovers: {}", error.message());  // they only take space
}

void SftpBackend::store(const FileName& name, ByteView body) {
    std::string object = what(name);
    perform(object, [&](Session& s) {
        if (stored_into_.first_time(name)) remove_old_leftovers(s, name);
        std::string temporary = fmt::format("{}-tmp-{:016x}", path_of(name), crypto::random_u64());
        try {
            store_as(s, name, temporary, body);
        } catch (const Error& error) {
            if (s.connection().failed()) {
                std::lock_guard lock(leftover_mutex_);
                leftovers_.push_back(temporary);
                throw;
            }
            if (error.kind() != ErrorKind::not_found) {
                std::optional<uint64_t> left;
                try {
                    left = s.free_space(path_);
                    s.remove(temporary, object);
                } catch (const Error&) {  // the first failure is the one to report
                }
                if (error.kind() == ErrorKind::io && left && *left < kFullDisk + body.size())
                    throw Error(ErrorKind::no_space, object + ": no space left on the server",
                                "Free space there, or forget and prune old snapshots.");
            }
            throw;
        }
    });
}

void SftpBackend::store_as(Session& s, const FileName& name, const std::string& temporary,
                           ByteView body) {
    std::string object = what(name), dir = dir_of(name);
    auto write = [&] { s.write_new(temporary, body, s.file_mode, s.group, object); };
    try {
        write();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
        // Never the repository's own folder: a disk that is not mounted there must stay empty.
        s.stat(path_, object + ": the repository's folder");
        std::vector<std::string> dirs = {dir};
        if (name.type == FileType::pack) dirs.insert(dirs.begin(), path_ + "/data");
        s.make_dirs(dirs, s.dir_mode, object);
        s.sync_dir(path_, object);
        if (name.type == FileType::pack) s.sync_dir(path_ + "/data", object);
        write();
    }
    if (options_.on_server_time)
        if (auto written = s.stat(temporary, object).modified)
            options_.on_server_time({.seconds = static_cast<int64_t>(*written)});
    s.rename(temporary, path_of(name), object);
    s.sync_dir(dir, object);
}

Bytes SftpBackend::read(const FileName& name, uint64_t offset, std::optional<size_t> length,
                        uint64_t limit) {
    std::string object = what(name);
    return perform(
        object, [&](Session& s) { return s.read(path_of(name), offset, length, limit, object); });
}

Bytes SftpBackend::load(const FileName& name, uint64_t offset, size_t length) {
    return read(name, offset, length, UINT64_MAX);
}

Bytes SftpBackend::load_all(const FileName& name, uint64_t limit) {
    return read(name, 0, std::nullopt, limit);
}

uint64_t SftpBackend::size(const FileName& name) {
    std::string object = what(name);
    return perform(object, [&](Session& s) {
        auto size = s.stat(path_of(name), object).size;
        if (!size) throw Error(ErrorKind::unsupported, object + ": the server does not tell sizes");
        return *size;
    });
}

void SftpBackend::list(FileType type, const std::function<void(const FileInfo&)>& each) {
    std::vector<FileInfo> found;
    if (type == FileType::config) return;
    std::string object = fmt::format("{}: list {}", options_.location, folder(type));
    perform(object, [&](Session& s) {
        found.clear();
        std::string top = fmt::format("{}/{}", path_, folder(type));
        std::vector<std::string> dirs;
        std::vector<uint8_t> first_bytes;
        bool present = true;
        auto add = [&](const SftpSession::NameEntry& entry, const std::string& dir) {
            auto id = Id::parse(entry.name);
            if (!id || !entry.attributes.is_regular()) return;
            auto size = entry.attributes.size;
            if (!size) size = s.stat(dir + "/" + entry.name, object).size;
            if (!size)
                throw Error(ErrorKind::unsupported, object + ": the server does not tell sizes");
            found.push_back({*id, *size});
        };
        s.list(
            {top},
            [&](size_t, const SftpSession::NameEntry& entry) {
                if (type != FileType::pack)
                    add(entry, top);
                else if (auto byte = pack_folder(entry.name)) {
                    dirs.push_back(top + "/" + entry.name);
                    first_bytes.push_back(*byte);
                }
            },
            [&](size_t) { present = false; }, object);
        if (!present) s.stat(path_, object);  // not_found: no repository here at all
        s.list(
            dirs,
            [&](size_t i, const SftpSession::NameEntry& entry) {
                // load() would not find others here.
                auto id = Id::parse(entry.name);
                if (id && id->bytes[0] == first_bytes[i]) add(entry, dirs[i]);
            },
            [](size_t) {}, object);
    });
    for (const FileInfo& info : found) each(info);
}

void SftpBackend::remove(const FileName& name) {
    std::string object = what(name);
    perform(object, [&](Session& s) {
        s.remove(path_of(name), object);
        if (name.type != FileType::pack && name.type != FileType::lock)
            s.sync_dir(dir_of(name), object);
    });
}

std::optional<uint64_t> SftpBackend::free_space() {
    return perform(options_.location, [&](Session& s) { return s.free_space(path_); });
}

pid_t SftpBackend::connection_pid() {
    std::lock_guard lock(connect_mutex_);
    return session_ && !session_->connection().failed() ? session_->connection().pid() : 0;
}

}  // namespace sevenfold::storage
