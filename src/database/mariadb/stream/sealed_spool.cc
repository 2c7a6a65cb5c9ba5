#include "database/mariadb/stream/sealed_spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <mutex>
#include <set>

#include "core/check.h"
#include "core/cursor.h"
#include "core/log.h"
#include "database/mariadb/stream/position.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr std::array<uint8_t, 4> kMagic = {'S', 'F', 'S', '1'};
constexpr size_t kMaxName = 1024;
constexpr size_t kMaxEnvelope = 2 + kMaxName + 8 + kMaxFrameData + crypto::kEnvelopeOverhead;
constexpr std::string_view kSuffix = ".sealed";

void put(Bytes& to, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) to.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

class PartFolder : public PartStore {
  public:
    explicit PartFolder(std::string folder) : folder_(std::move(folder)) {}
    std::string location() const override { return folder_; }
    std::vector<Part> list() override {
        namespace fs = std::filesystem;
        std::vector<Part> parts;
        std::error_code failure;
        for (const auto& incarnation : fs::directory_iterator(folder_, failure)) {
            if (!incarnation.is_directory()) continue;
            for (const auto& file : fs::directory_iterator(incarnation.path())) {
                std::error_code gone;  // it may be removed meanwhile
                uint64_t size = file.file_size(gone);
                if (!gone)
                    parts.push_back({incarnation.path().filename(), file.path().filename(), size});
            }
        }
        if (failure && failure != std::errc::no_such_file_or_directory)
            throw errno_error("read " + folder_, failure.value());
        return parts;
    }
    Bytes read(const Part& part, uint64_t offset, size_t length) override {
        os::UniqueFd fd = os::open_file(path(part), O_RDONLY);
        Bytes out(length);
        out.resize(os::pread_all(fd.get(), out, offset, path(part)));
        return out;
    }
    void remove(const Part& part) override {
        if (::unlink(path(part).c_str()) != 0) throw errno_error("remove " + path(part));
    }

  private:
    std::string path(const Part& part) const {
        return fmt::format("{}/{}/{}", folder_, part.incarnation, part.name);
    }
    std::string folder_;
};

// Bytes [begin, begin + size) of a log file lie in a frame of a part.
struct Piece {
    uint64_t begin = 0, size = 0;
    size_t part = 0;
    uint64_t frame_at = 0;  // of the envelope, in the part
    uint32_t envelope = 0;
    uint64_t skip = 0;  // bytes of the frame before `begin`
};

// Which frame holds which bytes of one file; later ones are put over earlier ones.
class Cover {
  public:
    void put(Piece piece) {
        uint64_t end = piece.begin + piece.size;
        auto at = pieces_.lower_bound(piece.begin);
        if (at != pieces_.begin()) --at;
        while (at != pieces_.end() && at->second.begin < end) {
            Piece old = at->second;
            uint64_t old_end = old.begin + old.size;
            if (old_end <= piece.begin) {
                ++at;
                continue;
            }
            at = pieces_.erase(at);
            if (old.begin < piece.begin) {
                Piece before = old;
                before.size = piece.begin - old.begin;
                pieces_[before.begin] = before;
            }
            if (old_end > end) {
                Piece after = old;
                after.begin = end;
                after.size = old_end - end;
                after.skip = old.skip + (end - old.begin);
                at = std::next(pieces_.emplace(after.begin, after).first);
            }
        }
        pieces_[piece.begin] = piece;
    }
    // What lies from there on is void.
    void cut(uint64_t offset) {
        auto at = pieces_.lower_bound(offset);
        if (at != pieces_.begin()) {
            Piece& before = std::prev(at)->second;
            before.size = std::min(before.size, offset - before.begin);
        }
        pieces_.erase(at, pieces_.end());
    }
    // The first byte after `end` that is missing.
    uint64_t whole(uint64_t end) const {
        for (const auto& [begin, piece] : pieces_) {
            if (begin > end) break;
            end = std::max(end, begin + piece.size);
        }
        return end;
    }
    const std::map<uint64_t, Piece>& pieces() const { return pieces_; }

  private:
    std::map<uint64_t, Piece> pieces_;  // by begin, not overlapping
};

class SealedArchive : public LogArchive {
  public:
    SealedArchive(PartStore& store, const crypto::CipherKey& key, const LogArchive* base)
        : store_(store), cipher_(key), base_(base), parts_(store.list()) {
        std::erase_if(parts_, [](const auto& p) { return !parse_part_name(p.name); });
        // Later ones last, so that their bytes win.
        std::ranges::sort(parts_, {}, [](const auto& p) {
            return std::tuple(parse_part_name(p.name)->number, p.incarnation, p.name);
        });
        std::map<std::pair<std::string, std::string>, File> files;
        for (size_t i = 0; base_ && i < base_->segments().size(); ++i) {
            const LogSegment& segment = base_->segments()[i];
            files[{segment.incarnation, segment.name}] = {i, segment.size, {}};
        }
        for (size_t i = 0; i < parts_.size(); ++i)
            read_part(i, files[{parts_[i].incarnation, parse_part_name(parts_[i].name)->file}]);
        for (auto& [key_of, file] : files) {
            uint64_t size = file.cover.whole(file.base_size);
            if (size == 0) continue;
            segments_.push_back({key_of.first, key_of.second, size});
            files_.push_back(std::move(file));
        }
    }
    const std::vector<LogSegment>& segments() const override { return segments_; }
    size_t read(size_t number, uint64_t offset, MutableByteView out) const override {
        const File& file = files_.at(number);
        uint64_t size = segments_[number].size;
        if (offset >= size) return 0;
        size_t wanted = std::min<uint64_t>(out.size(), size - offset), done = 0;
        if (offset < file.base_size) {
            size_t there = std::min<uint64_t>(wanted, file.base_size - offset);
            done = base_->read(file.base_number, offset, out.first(there));
            if (done != there)
                throw Error(ErrorKind::corrupt, segments_[number].name + " became shorter");
        }
        std::lock_guard lock(mutex_);
        while (done < wanted) {
            auto at = std::prev(file.cover.pieces().upper_bound(offset + done));
            const Piece& piece = at->second;
            const Bytes& data = frame(piece, segments_[number]);
            uint64_t from = offset + done - piece.begin;
            size_t n = std::min<uint64_t>(wanted - done, piece.size - from);
            std::copy_n(data.begin() + static_cast<ptrdiff_t>(piece.skip + from), n,
                        out.begin() + static_cast<ptrdiff_t>(done));
            done += n;
        }
        return done;
    }

  private:
    struct File {
        size_t base_number = 0;  // in the base
        uint64_t base_size = 0;  // 0: it does not have it
        Cover cover;
    };
    void read_part(size_t number, File& file) {
        try {
            read_frames(number, file);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) throw;
            // It was trimmed since it was listed: the places have what it held.
            log_debug("{}: {}", store_.location(), error.message());
        }
    }
    // A part is written from front to back, so it reaches no further than all its bytes after its
    // first offset.
    bool is_behind(const PartStore::Part& part, uint64_t offset) const {
        if (offset == 0) return false;
        auto head = parse_frame_head(store_.read(part, 0, kFrameHead));
        return head && head->offset <= offset && part.size <= offset - head->offset;
    }
    void read_frames(size_t number, File& file) {
        const PartStore::Part& part = parts_[number];
        if (is_behind(part, file.base_size)) return;
        std::string name = part.incarnation + "/" + parse_part_name(part.name)->file;
        for (uint64_t at = 0; at < part.size;) {
            auto head = parse_frame_head(store_.read(part, at, kFrameHead));
            if (!head || at + kFrameHead + head->length > part.size) return stop(part, at);
            Bytes envelope = store_.read(part, at + kFrameHead, head->length);
            try {
                SealedFrame frame = open_frame(cipher_, envelope);
                if (frame.name != name) throw Error(ErrorKind::corrupt, "a frame of " + frame.name);
                if (frame.data.empty())
                    file.cover.cut(frame.offset);
                else
                    file.cover.put({.begin = frame.offset,
                                    .size = frame.data.size(),
                                    .part = number,
                                    .frame_at = at + kFrameHead,
                                    .envelope = head->length});
            } catch (const Error& error) {
                log_warning("{}: {}/{} at {}: {}", store_.location(), part.incarnation, part.name,
                            at, error.message());
                return;
            }
            at += kFrameHead + head->length;
        }
    }
    void stop(const PartStore::Part& part, uint64_t at) const {
        log_debug("{}: {}/{} ends within a frame at {} of {} bytes", store_.location(),
                  part.incarnation, part.name, at, part.size);
    }
    // Of the last frame that was read: logs are read from front to end.
    const Bytes& frame(const Piece& piece, const LogSegment& segment) const {
        std::pair key(piece.part, piece.frame_at);
        if (recent_key_ == key) return recent_.data;
        const PartStore::Part& part = parts_[piece.part];
        SealedFrame opened = open_frame(cipher_, store_.read(part, piece.frame_at, piece.envelope));
        if (opened.name != segment.incarnation + "/" + segment.name ||
            opened.offset + piece.skip != piece.begin ||
            opened.data.size() < piece.skip + piece.size)
            throw Error(ErrorKind::corrupt, fmt::format("{}: {} changed while it was read",
                                                        store_.location(), part.name));
        recent_ = std::move(opened);
        recent_key_ = key;
        return recent_.data;
    }

    PartStore& store_;
    mutable crypto::Cipher cipher_;
    const LogArchive* base_;
    std::vector<PartStore::Part> parts_;
    std::vector<LogSegment> segments_;
    std::vector<File> files_;  // as segments_
    mutable std::mutex mutex_;
    mutable std::optional<std::pair<size_t, uint64_t>> recent_key_;
    mutable SealedFrame recent_;
};

}  // namespace

Bytes seal_frame(crypto::Cipher& cipher, const std::string& name, uint64_t offset, ByteView data) {
    CHECK(data.size() <= kMaxFrameData && name.size() <= kMaxName);
    Bytes plain;
    plain.reserve(10 + name.size() + data.size());
    put(plain, name.size(), 2);
    append(plain, as_bytes(name));
    put(plain, offset, 8);
    append(plain, data);
    size_t length = plain.size() + crypto::kEnvelopeOverhead;
    Bytes frame;
    frame.reserve(kFrameHead + length);
    append(frame, kMagic);
    put(frame, length, 4);
    put(frame, offset, 8);
    put(frame, 0, 4);
    frame.resize(kFrameHead + length);
    cipher.seal(plain, frame.data() + kFrameHead);
    return frame;
}

std::optional<FrameHead> parse_frame_head(ByteView head) {
    if (head.size() < kFrameHead) return std::nullopt;
    Cursor in(head, "head of a frame");
    if (!std::ranges::equal(in.take(kMagic.size()), kMagic)) return std::nullopt;
    FrameHead out;
    out.length = in.le32();
    out.offset = in.le64();
    uint32_t flags = in.le32();
    if (flags != 0 || out.length < crypto::kEnvelopeOverhead + 10 || out.length > kMaxEnvelope)
        return std::nullopt;
    return out;
}

SealedFrame open_frame(crypto::Cipher& cipher, ByteView envelope) {
    Bytes plain;
    if (!cipher.open(envelope, plain))
        throw Error(ErrorKind::corrupt, "a frame is damaged, or sealed with another key");
    Cursor in(plain, "frame");
    SealedFrame frame;
    size_t name_size = in.u8();
    name_size |= static_cast<size_t>(in.u8()) << 8;
    if (name_size > kMaxName) throw Error(ErrorKind::corrupt, "frame: the name is too long");
    frame.name = as_text(in.take(name_size));
    frame.offset = in.le64();
    frame.data = to_bytes(in.take(in.remaining()));
    if (frame.offset > INT64_MAX) throw Error(ErrorKind::corrupt, "frame: impossible offset");
    return frame;
}

std::string part_name(const std::string& file, uint32_t number) {
    return fmt::format("{}.{:08}{}", file, number, kSuffix);
}

std::optional<PartName> parse_part_name(std::string_view name) {
    if (!name.ends_with(kSuffix)) return std::nullopt;
    name.remove_suffix(kSuffix.size());
    size_t dot = name.rfind('.');
    if (dot == name.npos || dot == 0) return std::nullopt;
    std::string_view digits = name.substr(dot + 1);
    PartName part{.file = std::string(name.substr(0, dot))};
    auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), part.number);
    if (digits.size() < 8 || failure != std::errc{} || end != digits.data() + digits.size())
        return std::nullopt;
    return part;
}

std::unique_ptr<PartStore> open_part_folder(std::string folder) {
    return std::make_unique<PartFolder>(std::move(folder));
}

std::unique_ptr<LogArchive> open_sealed_spool(PartStore& store, const crypto::CipherKey& key,
                                              const LogArchive* base) {
    return std::make_unique<SealedArchive>(store, key, base);
}

size_t trim_sealed_spool(
    PartStore& store,
    const std::function<bool(const std::string& incarnation, const std::string& file)>& stored) {
    size_t removed = 0;
    for (const PartStore::Part& part : store.list()) {
        auto name = parse_part_name(part.name);
        if (!name || !stored(part.incarnation, name->file)) continue;
        store.remove(part);
        ++removed;
    }
    return removed;
}

}  // namespace sevenfold::database::mariadb
