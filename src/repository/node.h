// One entry of a directory as the repository stores it, and the exact JSON of a tree. A tree's id
// is the SHA-256 of these bytes, so the encoder is byte-exact with restic's.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/id.h"
#include "core/time.h"

namespace sevenfold::repository {

enum class NodeType : uint8_t { file, dir, symlink, dev, chardev, fifo, socket, irregular };
std::string_view name(NodeType type);

struct ExtendedAttribute {
    std::string name;
    Bytes value;
    bool operator==(const ExtendedAttribute&) const = default;
};

struct Node {
    std::string name;  // raw bytes of one path component
    NodeType type = NodeType::file;
    uint32_t mode = 0;  // Go's FileMode bits, see go_mode()
    Time mtime, atime, ctime;
    uint32_t uid = 0, gid = 0;
    std::string user, group;
    uint64_t inode = 0, device_id = 0, size = 0, links = 0;
    std::string link_target;  // raw bytes
    std::vector<ExtendedAttribute> extended_attributes;
    std::string generic_attributes;  // raw JSON object, kept verbatim; empty when absent
    uint64_t device = 0;             // st_rdev of a device
    std::vector<Id> content;         // files only
    std::optional<Id> subtree;       // dirs only
    std::string error;

    bool is_dir() const { return type == NodeType::dir; }
    bool is_file() const { return type == NodeType::file; }
};

// Go's os.FileMode (permission, type and setuid/setgid/sticky bits) for a st_mode, and the
// permission bits including setuid/setgid/sticky (07777) back.
uint32_t go_mode(mode_t st_mode);
mode_t permission_bits(uint32_t go_mode);
NodeType node_type(mode_t st_mode);

// True for names that may be one component of a path below a target: not empty, not "." or "..",
// no '/' and no NUL.
bool is_safe_name(std::string_view name);

// The nodes must be strictly ascending by name bytes (CHECKed).
Bytes encode_tree(std::span<const Node> nodes);
// Appends one node's JSON, as it stands inside a tree.
void encode_node(Bytes& out, const Node& node);

// Throws Error{corrupt} on anything but a valid tree: also for nodes out of order or twice, for
// unknown node types, and numbers out of range. Unknown keys are skipped. Names are not checked for
// safety: whoever turns them into paths does that with is_safe_name.
std::vector<Node> decode_tree(ByteView json);
// One node's JSON object.
Node decode_node(ByteView json);

}  // namespace sevenfold::repository
