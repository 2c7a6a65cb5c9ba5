// POSIX.1-2001, "pax Interchange Format" and "ustar Interchange Format".
#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <array>

#include "core/check.h"
#include "core/error.h"
#include "repository/dump.h"

namespace sevenfold::repository {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxOctal7 = 07777777;       // 7 digits and a NUL
constexpr uint64_t kMaxOctal11 = 077777777777;  // 11 digits and a NUL
constexpr size_t kNameSize = 100, kOwnerSize = 32;

// Where fields lie in a header block.
struct Field {
    size_t offset, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12},
    kMtime{136, 12}, kChecksum{148, 8}, kLink{157, 100}, kMagic{257, 8}, kUser{265, 32},
    kGroup{297, 32}, kMajor{329, 8}, kMinor{337, 8};
constexpr size_t kTypeFlag = 156;

class Header {
  public:
    void text(Field field, std::string_view value) {
        std::memcpy(&bytes_[field.offset], value.data(), std::min(value.size(), field.size));
    }
    void octal(Field field, uint64_t value) {
        text(field, fmt::format("{:0{}o}", value, field.size - 1));
    }
    void type(char flag) { bytes_[kTypeFlag] = static_cast<uint8_t>(flag); }
    ByteView finish() {
        text(kMagic, std::string_view("ustar\00000", 8));
        text(kChecksum, "        ");
        unsigned sum = 0;
        for (uint8_t byte : bytes_) sum += byte;
        text(kChecksum, fmt::format("{:06o}", sum));
        bytes_[kChecksum.offset + 6] = 0;
        return bytes_;
    }

  private:
    std::array<uint8_t, kBlock> bytes_{};
};

// "LENGTH KEY=VALUE\n", where LENGTH counts itself.
void add_record(std::string& records, std::string_view key, std::string_view value) {
    size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (length != rest + std::to_string(length).size())
        length = rest + std::to_string(length).size();
    records += fmt::format("{} {}=", length, key);
    records += value;
    records += '\n';
}

char type_flag(NodeType type) {
    switch (type) {
        case NodeType::file:
            return '0';
        case NodeType::symlink:
            return '2';
        case NodeType::chardev:
            return '3';
        case NodeType::dev:
            return '4';
        case NodeType::dir:
            return '5';
        case NodeType::fifo:
            return '6';
        default:
            return 0;
    }
}

std::string pax_time(const Time& time) {
    // Seconds since the epoch as a decimal fraction: of -0.25 the seconds are -1.
    if (time.nanoseconds == 0) return std::to_string(time.seconds);
    int64_t seconds = time.seconds;
    int64_t nanoseconds = time.nanoseconds;
    bool negative = seconds < 0;
    if (negative) {
        nanoseconds = 1'000'000'000 - nanoseconds;
        seconds = -(seconds + 1);
    }
    return fmt::format("{}{}.{:09}", negative ? "-" : "", seconds, nanoseconds);
}

// What does not fit the old header.
std::string extended(const std::string& name, const Node& node, uint64_t size) {
    std::string records;
    if (name.size() > kNameSize) add_record(records, "path", name);
    if (node.type == NodeType::symlink && node.link_target.size() > kNameSize)
        add_record(records, "linkpath", node.link_target);
    if (size > kMaxOctal11) add_record(records, "size", std::to_string(size));
    if (node.uid > kMaxOctal7) add_record(records, "uid", std::to_string(node.uid));
    if (node.gid > kMaxOctal7) add_record(records, "gid", std::to_string(node.gid));
    if (node.user.size() >= kOwnerSize) add_record(records, "uname", node.user);
    if (node.group.size() >= kOwnerSize) add_record(records, "gname", node.group);
    if (node.mtime.nanoseconds != 0 || node.mtime.seconds < 0 ||
        static_cast<uint64_t>(node.mtime.seconds) > kMaxOctal11)
        add_record(records, "mtime", pax_time(node.mtime));
    for (const ExtendedAttribute& attribute : node.extended_attributes)
        add_record(records, "SCHILY.xattr." + attribute.name, as_text(attribute.value));
    return records;
}

uint64_t or_zero(uint64_t value, uint64_t largest) { return value > largest ? 0 : value; }

}  // namespace

void TarWriter::block(const std::string& name, char type, const Node* node, uint64_t size) {
    Header header;
    header.text(kName, name);
    header.type(type);
    header.octal(kSize, or_zero(size, kMaxOctal11));
    if (!node) {
        header.octal(kMode, 0644);
        header.octal(kUid, 0);
        header.octal(kGid, 0);
        header.octal(kMtime, 0);
    } else {
        header.octal(kMode, permission_bits(node->mode));
        header.octal(kUid, or_zero(node->uid, kMaxOctal7));
        header.octal(kGid, or_zero(node->gid, kMaxOctal7));
        header.octal(kMtime, or_zero(static_cast<uint64_t>(node->mtime.seconds), kMaxOctal11));
        header.text(kLink, node->type == NodeType::symlink ? node->link_target : "");
        if (node->user.size() < kOwnerSize) header.text(kUser, node->user);
        if (node->group.size() < kOwnerSize) header.text(kGroup, node->group);
        bool device = node->type == NodeType::dev || node->type == NodeType::chardev;
        header.octal(kMajor, device ? or_zero(gnu_dev_major(node->device), kMaxOctal7) : 0);
        header.octal(kMinor, device ? or_zero(gnu_dev_minor(node->device), kMaxOctal7) : 0);
    }
    sink_(header.finish());
}

bool TarWriter::header(const std::string& path, const Node& node) {
    CHECK(expected_ == written_);
    char type = type_flag(node.type);
    if (type == 0) return false;
    std::string name = path.substr(std::min(path.find_first_not_of('/'), path.size()));
    if (node.is_dir()) name += '/';
    uint64_t size = node.is_file() ? node.size : 0;
    if (std::string records = extended(name, node, size); !records.empty()) {
        block("PaxHeaders/" + name.substr(0, 80), 'x', nullptr, records.size());
        sink_(as_bytes(records));
        pad(records.size());
    }
    block(name, type, &node, size);
    expected_ = size;
    written_ = 0;
    return true;
}

void TarWriter::content(ByteView bytes) {
    written_ += bytes.size();
    if (written_ > expected_)
        throw Error(ErrorKind::corrupt,
                    "a file has more content than its recorded size: tar cannot hold it",
                    "Dump that file alone, or restore the snapshot.");
    sink_(bytes);
}

void TarWriter::end_content() {
    if (written_ != expected_)
        throw Error(ErrorKind::corrupt,
                    "a file has less content than its recorded size: tar cannot hold it",
                    "Dump that file alone, or restore the snapshot.");
    pad(written_);
}

void TarWriter::pad(uint64_t size) {
    static constexpr std::array<uint8_t, kBlock> kZeros{};
    if (size_t over = size % kBlock; over != 0) sink_(ByteView(kZeros).first(kBlock - over));
}

void TarWriter::finish() {
    std::array<uint8_t, 2 * kBlock> zeros{};
    sink_(zeros);
}

}  // namespace sevenfold::repository
