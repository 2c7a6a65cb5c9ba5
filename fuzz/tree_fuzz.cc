// Any bytes: decode_tree reads them or throws Error. What it reads is written and read back the
// same, and the second writing has the bytes of the first.
#include "core/check.h"
#include "core/error.h"
#include "repository/node.h"

using sevenfold::Bytes;
using sevenfold::ByteView;
using sevenfold::repository::Node;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<Node> nodes;
    try {
        nodes = sevenfold::repository::decode_tree(ByteView(data, size));
    } catch (const sevenfold::Error&) {
        return 0;
    }
    Bytes json = sevenfold::repository::encode_tree(nodes);
    std::vector<Node> again = sevenfold::repository::decode_tree(json);
    CHECK(again.size() == nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
        CHECK(again[i].name == nodes[i].name);
        CHECK(again[i].link_target == nodes[i].link_target);
        CHECK(again[i].content == nodes[i].content);
    }
    CHECK(sevenfold::repository::encode_tree(again) == json);
    return 0;
}
