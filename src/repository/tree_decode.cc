// Reading the JSON of nodes and trees (format A.7). Strict where a wrong guess could lose data or
// hide damage, lenient where restic versions differ: unknown keys, null for absent, key order.
#include <fmt/format.h>

#include <array>

#include "core/error.h"
#include "core/log.h"
#include "repository/internal/go_quote.h"
#include "repository/internal/json_reader.h"
#include "repository/node.h"

namespace sevenfold::repository {
namespace {

enum class Field : uint8_t {
    name,
    type,
    mode,
    mtime,
    atime,
    ctime,
    uid,
    gid,
    user,
    group,
    inode,
    device_id,
    size,
    links,
    linktarget,
    linktarget_raw,
    extended_attributes,
    generic_attributes,
    device,
    content,
    subtree,
    error,
    unknown,
};

constexpr size_t kTypicalNodeSize = 320;  // of a file's JSON

// In the order of Field, which is the order in which restic writes them.
constexpr std::array<std::string_view, 22> kFieldNames = {
    "name",
    "type",
    "mode",
    "mtime",
    "atime",
    "ctime",
    "uid",
    "gid",
    "user",
    "group",
    "inode",
    "device_id",
    "size",
    "links",
    "linktarget",
    "linktarget_raw",
    "extended_attributes",
    "generic_attributes",
    "device",
    "content",
    "subtree",
    "error",
};
static_assert(kFieldNames.size() == static_cast<size_t>(Field::unknown));

// Starts at the field after the one found last: keys come in order, so it is nearly always among
// the next few.
Field find_field(std::string_view key, size_t& next) {
    for (size_t i = 0; i < kFieldNames.size(); ++i, ++next) {
        if (next >= kFieldNames.size()) next = 0;
        if (kFieldNames[next] == key) return static_cast<Field>(next++);
    }
    return Field::unknown;
}

class NodeReader {
  public:
    explicit NodeReader(JsonReader& json) : json_(json) {}

    Node read() {
        uint32_t seen = 0;
        size_t next = 0;
        json_.begin_object();
        while (json_.next_key()) {
            Field field = find_field(json_.key(), next);
            if (field == Field::unknown) {
                json_.skip();
                continue;
            }
            if (seen & bit(field)) json_.fail(fmt::format("second \"{}\" in a node", json_.key()));
            // Go reads null as "leave it at zero".
            if (!json_.null()) {
                seen |= bit(field);
                read_field(field);
            }
        }
        if (!(seen & bit(Field::name))) json_.fail("node without name");
        if (!(seen & bit(Field::type))) json_.fail(fmt::format("{}: no type", shown()));
        check();
        return std::move(node_);
    }

  private:
    static uint32_t bit(Field field) { return 1u << static_cast<unsigned>(field); }
    std::string shown() const { return fmt::format("node \"{}\"", printable(node_.name)); }

    void read_field(Field field) {
        switch (field) {
            case Field::name:
                return read_name();
            case Field::type:
                return read_type();
            case Field::mode:
                node_.mode = json_.u32();
                return;
            case Field::mtime:
                node_.mtime = json_.time();
                return;
            case Field::atime:
                node_.atime = json_.time();
                return;
            case Field::ctime:
                node_.ctime = json_.time();
                return;
            case Field::uid:
                node_.uid = json_.u32();
                return;
            case Field::gid:
                node_.gid = json_.u32();
                return;
            case Field::user:
                node_.user = json_.string();
                return;
            case Field::group:
                node_.group = json_.string();
                return;
            case Field::inode:
                node_.inode = json_.u64();
                return;
            case Field::device_id:
                node_.device_id = json_.u64();
                return;
            case Field::size:
                node_.size = json_.u64();
                return;
            case Field::links:
                node_.links = json_.u64();
                return;
            case Field::linktarget:
                node_.link_target = json_.string();
                return;
            case Field::linktarget_raw:
                raw_target_ = json_.base64();
                return;
            case Field::extended_attributes:
                return read_attributes();
            case Field::generic_attributes:
                return read_generic_attributes();
            case Field::device:
                node_.device = json_.u64();
                return;
            case Field::content:
                return read_content();
            case Field::subtree:
                node_.subtree = json_.id();
                return;
            case Field::error:
                node_.error = json_.string();
                return;
            case Field::unknown:
                return;
        }
    }

    void read_name() {
        std::string_view text = json_.string();
        if (json_.string_was_plain()) {
            node_.name = text;  // without a backslash both layers are the identity
            return;
        }
        auto name = go_unquote(text);
        if (!name) json_.fail("invalid name of a node");
        node_.name = std::move(*name);
    }

    void read_type() {
        std::string_view text = json_.string();
        for (int i = 0; i <= static_cast<int>(NodeType::irregular); ++i) {
            if (text == name(static_cast<NodeType>(i))) {
                node_.type = static_cast<NodeType>(i);
                return;
            }
        }
        json_.fail(fmt::format("{}: unknown type \"{}\"", shown(), printable(text.substr(0, 32))));
    }

    void read_attributes() {
        json_.begin_array();
        while (json_.next_element()) {
            ExtendedAttribute& attribute = node_.extended_attributes.emplace_back();
            json_.begin_object();
            while (json_.next_key()) {
                if (json_.key() == "name") {
                    attribute.name = json_.string();
                } else if (json_.key() == "value") {
                    attribute.value = json_.base64();
                } else {
                    json_.skip();
                }
            }
        }
    }

    void read_generic_attributes() {
        if (json_.peek() != JsonReader::Kind::object) json_.fail("expected an object");
        node_.generic_attributes = json_.raw();
    }

    void read_content() {
        json_.begin_array();
        while (json_.next_element()) node_.content.push_back(json_.id());
    }

    void check() {
        if (!raw_target_.empty()) node_.link_target = as_text(raw_target_);
        if (!node_.is_file() && !node_.content.empty())
            json_.fail(fmt::format("{}: content of what is no file", shown()));
        if (!node_.is_dir() && node_.subtree)
            json_.fail(fmt::format("{}: subtree of what is no directory", shown()));
    }

    JsonReader& json_;
    Node node_;
    Bytes raw_target_;
};

}  // namespace

Node decode_node(ByteView bytes) {
    JsonReader json(bytes, "node");
    Node node = NodeReader(json).read();
    json.end();
    return node;
}

std::vector<Node> decode_tree(ByteView bytes) {
    std::vector<Node> nodes;
    bool seen = false;
    JsonReader json(bytes, "tree");
    json.begin_object();
    while (json.next_key()) {
        if (json.key() != "nodes") {
            json.skip();
            continue;
        }
        if (seen) json.fail("second list of nodes");
        seen = true;
        if (json.null()) continue;
        nodes.reserve(bytes.size() / kTypicalNodeSize);
        json.begin_array();
        while (json.next_element()) {
            Node node = NodeReader(json).read();
            if (!nodes.empty() && nodes.back().name >= node.name)
                json.fail(fmt::format("node \"{}\" is not after \"{}\"", printable(node.name),
                                      printable(nodes.back().name)));
            nodes.push_back(std::move(node));
        }
    }
    json.end();
    if (!seen) json.fail("no list of nodes");
    return nodes;
}

}  // namespace sevenfold::repository
