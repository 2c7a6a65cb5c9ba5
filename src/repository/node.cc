#include "repository/node.h"

#include "core/check.h"

namespace sevenfold::repository {
namespace {

// Go's io/fs.FileMode bits.
constexpr uint32_t kModeDir = 1u << 31, kModeSymlink = 1u << 27, kModeDevice = 1u << 26,
                   kModeFifo = 1u << 25, kModeSocket = 1u << 24, kModeSetuid = 1u << 23,
                   kModeSetgid = 1u << 22, kModeCharDevice = 1u << 21, kModeSticky = 1u << 20,
                   kModeIrregular = 1u << 19;

uint32_t type_bits(NodeType type) {
    switch (type) {
        case NodeType::file:
            return 0;
        case NodeType::dir:
            return kModeDir;
        case NodeType::symlink:
            return kModeSymlink;
        case NodeType::dev:
            return kModeDevice;
        case NodeType::chardev:
            return kModeDevice | kModeCharDevice;
        case NodeType::fifo:
            return kModeFifo;
        case NodeType::socket:
            return kModeSocket;
        case NodeType::irregular:
            return kModeIrregular;
    }
    CHECK(!"a node type");
}

}  // namespace

std::string_view name(NodeType type) {
    switch (type) {
        case NodeType::file:
            return "file";
        case NodeType::dir:
            return "dir";
        case NodeType::symlink:
            return "symlink";
        case NodeType::dev:
            return "dev";
        case NodeType::chardev:
            return "chardev";
        case NodeType::fifo:
            return "fifo";
        case NodeType::socket:
            return "socket";
        case NodeType::irregular:
            return "irregular";
    }
    CHECK(!"a node type");
}

uint32_t go_mode(mode_t st_mode) {
    uint32_t mode = (st_mode & 0777) | type_bits(node_type(st_mode));
    if (st_mode & S_ISUID) mode |= kModeSetuid;
    if (st_mode & S_ISGID) mode |= kModeSetgid;
    if (st_mode & S_ISVTX) mode |= kModeSticky;
    return mode;
}

mode_t permission_bits(uint32_t go_mode) {
    mode_t mode = go_mode & 0777;
    if (go_mode & kModeSetuid) mode |= S_ISUID;
    if (go_mode & kModeSetgid) mode |= S_ISGID;
    if (go_mode & kModeSticky) mode |= S_ISVTX;
    return mode;
}

NodeType node_type(mode_t st_mode) {
    switch (st_mode & S_IFMT) {
        case S_IFREG:
            return NodeType::file;
        case S_IFDIR:
            return NodeType::dir;
        case S_IFLNK:
            return NodeType::symlink;
        case S_IFBLK:
            return NodeType::dev;
        case S_IFCHR:
            return NodeType::chardev;
        case S_IFIFO:
            return NodeType::fifo;
        case S_IFSOCK:
            return NodeType::socket;
        default:
            return NodeType::irregular;
    }
}

bool is_safe_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           name.find_first_of(std::string_view("/\0", 2)) == name.npos;
}

}  // namespace sevenfold::repository
