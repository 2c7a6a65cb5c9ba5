#include "database/mariadb/stream/second_spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/check.h"
#include "os/file.h"
#include "storage/sftp/sftp_session.h"

namespace sevenfold::database::mariadb {
namespace {

namespace sftp = net::sftp;
using sftp::PacketType;
using sftp::PacketWriter;

constexpr const char* kSyncExtension = "fsync@openssh.com";

// What both kinds share: frames, and which part is open.
class SealingTarget : public SpoolTarget {
  public:
    explicit SealingTarget(const crypto::CipherKey& key) : cipher_(key) {}

    void append(const std::string& incarnation, const std::string& file, uint64_t offset,
                ByteView bytes) override {
        if (!known_) look();
        while (!bytes.empty()) {
            ByteView piece = bytes.first(std::min(bytes.size(), kMaxFrameData));
            add(incarnation, file, offset, piece);
            offset += piece.size();
            bytes = bytes.subspan(piece.size());
        }
    }
    void cut(const std::string& incarnation, const std::string& file, uint64_t offset) override {
        bool ours = open_ && incarnation == incarnation_ && file == file_;
        if (ours || knows(incarnation, file)) add(incarnation, file, offset, {});
    }
    bool knows(const std::string& incarnation, const std::string& file) override {
        if (!known_) look();
        return known_->contains({incarnation, file});
    }

  protected:
    // Makes the part, and its folder, durable by name.
    virtual void open_part(const std::string& incarnation, const std::string& name) = 0;
    virtual void write(uint64_t offset, ByteView frame) = 0;
    // Syncs and closes what is open.
    virtual void close_part() = 0;

  private:
    void add(const std::string& incarnation, const std::string& file, uint64_t offset,
             ByteView piece) {
        if (incarnation != incarnation_ || file != file_ || !open_ || at_ >= kMaxPart) {
            close_part();
            open_ = false;
            open_part(incarnation, part_name(file, number_++));
            incarnation_ = incarnation;
            file_ = file;
            open_ = true;
            at_ = 0;
        }
        Bytes frame = seal_frame(cipher_, incarnation + "/" + file, offset, piece);
        write(at_, frame);
        at_ += frame.size();
    }
    // New parts' numbers are above all that are there.
    void look() {
        known_.emplace();
        for (const PartStore::Part& part : parts().list())
            if (auto name = parse_part_name(part.name)) {
                number_ = std::max(number_, name->number + 1);
                if (part.size > 0) known_->insert({part.incarnation, name->file});
            }
    }

    crypto::Cipher cipher_;
    std::optional<std::set<std::pair<std::string, std::string>>> known_;
    uint32_t number_ = 1;  // of the next part
    bool open_ = false;
    std::string incarnation_, file_;
    uint64_t at_ = 0;  // end of the open part
};

class FolderTarget : public SealingTarget {
  public:
    FolderTarget(const std::string& folder, const crypto::CipherKey& key)
        : SealingTarget(key), folder_(folder), parts_(open_part_folder(folder)) {
        for (const std::string& made : os::make_dirs(folder_, 0700))
            os::fsync_dir(os::parent_dir(made));
    }
    std::string location() const override { return folder_; }
    void sync() override {
        if (fd_.valid() && ::fdatasync(fd_.get()) != 0) throw errno_error("sync " + path_);
    }
    PartStore& parts() override { return *parts_; }

  protected:
    void open_part(const std::string& incarnation, const std::string& name) override {
        std::string folder = folder_ + "/" + incarnation;
        for (const std::string& made : os::make_dirs(folder, 0700))
            os::fsync_dir(os::parent_dir(made));
        path_ = folder + "/" + name;
        fd_ = os::open_file(path_, O_WRONLY | O_CREAT | O_EXCL, 0600);
        os::fsync_dir(folder);
    }
    void write(uint64_t offset, ByteView frame) override {
        os::pwrite_all(fd_.get(), frame, offset, path_);
    }
    void close_part() override {
        sync();
        fd_.reset();
    }

  private:
    std::string folder_, path_;
    std::unique_ptr<PartStore> parts_;
    os::UniqueFd fd_;
};

class SftpParts : public PartStore {
  public:
    SftpParts(storage::SftpSession& session, std::string location, std::string folder)
        : session_(session), location_(std::move(location)), folder_(std::move(folder)) {}
    std::string location() const override { return location_; }
    std::vector<Part> list() override {
        std::vector<std::string> folders, paths;
        session_.list(
            {folder_},
            [&](size_t, const sftp::NameEntry& entry) {
                if (entry.attributes.is_directory() && !entry.name.starts_with('.'))
                    folders.push_back(entry.name);
            },
            [](size_t) {}, location_);
        for (const std::string& name : folders) paths.push_back(folder_ + "/" + name);
        std::vector<Part> parts;
        session_.list(
            paths,
            [&](size_t i, const sftp::NameEntry& entry) {
                if (parse_part_name(entry.name))
                    parts.push_back({folders[i], entry.name, entry.attributes.size.value_or(0)});
            },
            [](size_t) {}, location_);
        return parts;
    }
    Bytes read(const Part& part, uint64_t offset, size_t length) override {
        if (offset >= part.size) return {};
        length = std::min<uint64_t>(length, part.size - offset);
        // Frames are read one after the other: in larger pieces, each is one answer away. Of some
        // parts only the head is wanted.
        constexpr size_t kAhead = 4 << 20, kFirst = 32 << 10;
        std::string path = folder_ + "/" + part.incarnation + "/" + part.name;
        if (path != ahead_path_ || offset < ahead_at_ ||
            offset + length > ahead_at_ + ahead_.size()) {
            size_t ahead = path == ahead_path_ ? kAhead : kFirst;
            size_t wanted = std::min<uint64_t>(std::max(length, ahead), part.size - offset);
            ahead_ = session_.read(path, offset, wanted, UINT64_MAX, location_);
            ahead_path_ = path;
            ahead_at_ = offset;
        }
        return to_bytes(ByteView(ahead_).subspan(offset - ahead_at_, length));
    }
    void remove(const Part& part) override {
        session_.remove(folder_ + "/" + part.incarnation + "/" + part.name, location_);
    }

  private:
    storage::SftpSession& session_;
    std::string location_, folder_;
    Bytes ahead_;
    std::string ahead_path_;
    uint64_t ahead_at_ = 0;
};

class OwnSftpParts : public PartStore {
  public:
    OwnSftpParts(const storage::SftpConnectionOptions& options, const std::string& folder)
        : session_(options), parts_(session_, options.location, folder) {}
    std::string location() const override { return parts_.location(); }
    std::vector<Part> list() override { return parts_.list(); }
    Bytes read(const Part& part, uint64_t offset, size_t length) override {
        return parts_.read(part, offset, length);
    }
    void remove(const Part& part) override { parts_.remove(part); }

  private:
    storage::SftpSession session_;
    SftpParts parts_;
};

// Writes and the sync after them are sent without waiting in between: the protocol has requests on
// one file done in the order in which they came (draft-ietf-secsh-filexfer-02, section 6), so a
// sync costs one round trip.
class SftpTarget : public SealingTarget {
  public:
    SftpTarget(const storage::SftpConnectionOptions& options, std::string folder,
               const crypto::CipherKey& key)
        : SealingTarget(key),
          location_(options.location),
          folder_(std::move(folder)),
          session_(options),
          exchange_(session_.connection()),
          parts_(session_, location_, folder_) {
        if (!session_.connection().offers(kSyncExtension, "1"))
            throw Error(ErrorKind::unsupported,
                        location_ + ": the host cannot say when a file is durable",
                        "The second spool needs an SFTP server with fsync@openssh.com (OpenSSH 6.5 "
                        "or newer).");
        make_dirs(folder_);
    }
    std::string location() const override { return location_; }
    void sync() override {
        if (handle_.empty()) return;
        std::vector<uint32_t> written = std::move(under_way_);
        under_way_.clear();
        uint32_t sync = exchange_.send(PacketType::extended, [&](PacketWriter& w) {
            w.string(kSyncExtension).string(handle_);
        });
        for (uint32_t id : written) exchange_.expect_ok(id, location_);
        exchange_.expect_ok(sync, location_);
    }
    PartStore& parts() override { return parts_; }

  protected:
    void open_part(const std::string& incarnation, const std::string& name) override {
        std::string folder = folder_ + "/" + incarnation;
        make_dirs(folder);
        uint32_t id = exchange_.send(PacketType::open, [&](PacketWriter& w) {
            w.string(folder + "/" + name)
                .u32(sftp::kOpenWrite | sftp::kOpenCreate | sftp::kOpenExclusive)
                .u32(4)  // permissions follow
                .u32(0600);
        });
        handle_ = exchange_.handle(id, location_);
        session_.sync_dir(folder, location_);
    }
    void write(uint64_t offset, ByteView frame) override {
        const size_t piece = session_.connection().write_size();
        for (size_t done = 0; done < frame.size(); done += piece) {
            ByteView data = frame.subspan(done, std::min(piece, frame.size() - done));
            // Bounded: answers wait in memory until they are fetched.
            if (under_way_.size() >= 128) {
                exchange_.expect_ok(under_way_.front(), location_);
                under_way_.erase(under_way_.begin());
            }
            under_way_.push_back(exchange_.send(
                PacketType::write,
                [&](PacketWriter& w) {
                    w.string(handle_).u64(offset + done).u32(static_cast<uint32_t>(data.size()));
                },
                data));
        }
    }
    void close_part() override {
        if (handle_.empty()) return;
        sync();
        exchange_.expect_ok(
            exchange_.send(PacketType::close, [&](PacketWriter& w) { w.string(handle_); }),
            location_);
        handle_.clear();
    }

  private:
    void make_dirs(const std::string& folder) {
        std::vector<std::string> paths;
        for (size_t slash = folder.find('/', 1); slash != folder.npos;
             slash = folder.find('/', slash + 1))
            paths.push_back(folder.substr(0, slash));
        paths.push_back(folder);
        for (const std::string& made : session_.make_dirs(paths, 0700, location_))
            session_.sync_dir(os::parent_dir(made), location_);
    }

    std::string location_, folder_;
    storage::SftpSession session_;
    storage::SftpConnection::Exchange exchange_;
    SftpParts parts_;
    std::string handle_;
    std::vector<uint32_t> under_way_;
};

}  // namespace

std::unique_ptr<SpoolTarget> open_folder_target(const std::string& folder,
                                                const crypto::CipherKey& key) {
    return std::make_unique<FolderTarget>(folder, key);
}

std::unique_ptr<SpoolTarget> open_sftp_target(const storage::SftpConnectionOptions& options,
                                              const std::string& folder,
                                              const crypto::CipherKey& key) {
    return std::make_unique<SftpTarget>(options, folder, key);
}

std::unique_ptr<PartStore> open_sftp_parts(const storage::SftpConnectionOptions& options,
                                           const std::string& folder) {
    return std::make_unique<OwnSftpParts>(options, folder);
}

}  // namespace sevenfold::database::mariadb
