#include "repository/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/error.h"
#include "crypto/sha256.h"
#include "repository/testing/restic_trees.h"

namespace sevenfold::repository {
namespace {

using testing::restic_trees;
using testing::ResticTree;

constexpr std::string_view kTimes =
    R"("mtime":"2026-11-22T17:45:46.5+01:00","atime":"2026-11-22T16:45:46.5Z","ctime":"2026-11-22T16:45:46Z")";

Node file_node(std::string name) {
    Node node;
    node.name = std::move(name);
    node.mode = 0644;
    node.mtime = parse_rfc3339("2026-11-22T17:45:46.5+01:00");
    node.atime = parse_rfc3339("2026-11-22T16:45:46.5Z");
    node.ctime = parse_rfc3339("2026-11-22T16:45:46Z");
    return node;
}

std::string encoded(const Node& node) {
    Bytes out;
    encode_node(out, node);
    return std::string(as_text(out));
}

Node decoded(std::string_view json) { return decode_node(as_bytes(json)); }

// A tree of one node with this name, as restic would write it.
std::string tree_with(std::string_view fields) {
    return fmt::format(R"({{"nodes":[{{{},{},"uid":0,"gid":0,"content":[]}}]}})", fields, kTimes);
}

std::string failure(std::string_view tree) {
    try {
        decode_tree(as_bytes(tree));
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::corrupt);
        return error.message();
    }
    return "no error";
}

TEST(Tree, ReproducesWhatResticWrote) {
    ASSERT_FALSE(restic_trees().empty());
    for (const ResticTree& tree : restic_trees()) {
        SCOPED_TRACE(tree.what);
        ASSERT_EQ(crypto::sha256(as_bytes(tree.json)).hex(), tree.id) << "the sample is damaged";
        Bytes again = encode_tree(decode_tree(as_bytes(tree.json)));
        EXPECT_EQ(as_text(again), tree.json);
        EXPECT_EQ(crypto::sha256(again).hex(), tree.id);
    }
}

TEST(Tree, ReadsTheFieldsOfResticsNodes) {
    std::map<std::string, Node> nodes;
    for (const ResticTree& tree : restic_trees())
        if (std::string_view(tree.what) == "types, Europe/Berlin")
            for (Node& node : decode_tree(as_bytes(tree.json))) nodes[node.name] = node;
    ASSERT_TRUE(nodes.contains("setuid"));
    EXPECT_EQ(permission_bits(nodes["setuid"].mode), 04755u);
    EXPECT_EQ(nodes["setuid"].mode, 8389101u);
    EXPECT_EQ(permission_bits(nodes["both"].mode), 07777u);
    EXPECT_EQ(permission_bits(nodes["sticky"].mode), 01777u);
    EXPECT_EQ(nodes["sticky"].mode, 2148532735u);
    EXPECT_EQ(nodes["mode0"].mode, 0u);
    EXPECT_EQ(nodes["chardev"].type, NodeType::chardev);
    EXPECT_EQ(nodes["chardev"].device, 259u);
    EXPECT_EQ(nodes["blockdev"].type, NodeType::dev);
    EXPECT_EQ(nodes["fifo"].mode, 33554852u);
    EXPECT_EQ(nodes["hard1"].links, 2u);
    EXPECT_EQ(nodes["hard1"].inode, nodes["hard2"].inode);
    EXPECT_EQ(nodes["unknownowner"].uid, 4000000000u);
    EXPECT_TRUE(nodes["unknownowner"].user.empty());
    EXPECT_EQ(nodes["owned"].user, "www-data");
    EXPECT_EQ(nodes["link"].link_target,
              "target <&> \xc3\xa9 \"q\"\\ \x01\x08\x0c\x7f\t\n\r \xe2\x80\xa8");
    EXPECT_EQ(nodes["big"].size, 2u << 20);
    EXPECT_EQ(nodes["big"].mtime.offset, 3600);
    EXPECT_TRUE(nodes["dir"].subtree);
    EXPECT_EQ(nodes["dir"].extended_attributes.at(0).name, "system.posix_acl_access");
    EXPECT_TRUE(nodes["empty"].content.empty());
}

TEST(Tree, EmptyTree) {
    EXPECT_EQ(as_text(encode_tree({})), "{\"nodes\":[]}\n");
    EXPECT_TRUE(decode_tree(as_bytes("{\"nodes\":[]}\n")).empty());
}

TEST(Node, OmitsWhatIsEmptyAndNothingElse) {
    EXPECT_EQ(encoded(file_node("a")), fmt::format(R"({{"name":"a","type":"file","mode":420,{},)"
                                                   R"("uid":0,"gid":0,"content":[]}})",
                                                   kTimes));
    Node all = file_node("a");
    all.mode = 0;
    all.uid = 1;
    all.gid = 4294967295;
    all.user = "<u>";
    all.group = "g";
    all.inode = UINT64_MAX;
    all.device_id = 2;
    all.size = 3;
    all.links = 4;
    all.link_target = "t";
    all.extended_attributes = {{"user.a", to_bytes("v")}, {"user.b", {}}};
    all.generic_attributes = R"({"windows.file_attributes":32})";
    all.device = 5;
    all.content = {*Id::parse(std::string(64, 'a')), *Id::parse(std::string(64, '0'))};
    all.error = "e";
    std::string json = fmt::format(
        R"({{"name":"a","type":"file",{},"uid":1,"gid":4294967295,"user":"\u003cu\u003e","group":"g",)"
        R"("inode":18446744073709551615,"device_id":2,"size":3,"links":4,"linktarget":"t",)"
        R"("extended_attributes":[{{"name":"user.a","value":"dg=="}},{{"name":"user.b","value":""}}],)"
        R"("generic_attributes":{{"windows.file_attributes":32}},"device":5,)"
        R"("content":["{}","{}"],"error":"e"}})",
        kTimes, std::string(64, 'a'), std::string(64, '0'));
    EXPECT_EQ(encoded(all), json);
    EXPECT_EQ(encoded(decoded(json)), json);
}

TEST(Node, NamesHaveTwoLayers) {
    auto name_json = [](std::string name) {
        std::string json = encoded(file_node(std::move(name)));
        return json.substr(8, json.find(",\"type\"") - 8);
    };
    EXPECT_EQ(name_json("we\"ird\\ \xc3\xa9\nn<&>"), R"("we\\\"ird\\\\ é\\nn\u003c\u0026\u003e")");
    EXPECT_EQ(name_json("bad\xff\xfename"), R"("bad\\xff\\xfename")");
    EXPECT_EQ(name_json("\x7f\x01\a\v"), R"("\\x7f\\x01\\a\\v")");
    EXPECT_EQ(name_json("\xe2\x80\xa8\xc2\xad\xf3\xa0\x80\x81"), R"("\\u2028\\u00ad\\U000e0001")");
}

TEST(Node, LinkTargetThatIsNotUtf8IsKeptInFull) {
    Node node = file_node("l");
    node.type = NodeType::symlink;
    node.link_target = "bad\xff\xfe";
    std::string json = encoded(node);
    EXPECT_THAT(json, ::testing::HasSubstr(
                          R"("linktarget":"bad\ufffd\ufffd","linktarget_raw":"YmFk//4=")"));
    EXPECT_EQ(decoded(json).link_target, node.link_target);
    // restic before 0.16 has lost it.
    EXPECT_EQ(decoded(R"({"name":"l","type":"symlink","linktarget":"bad\ufffd"})").link_target,
              "bad\xef\xbf\xbd");
}

TEST(Node, ReadsWhatOthersMayWrite) {
    Node node = decoded(
        R"( { "type" : "dir", "future":{"a":[1]}, "content":[], "subtree":null, "user":null,)"
        R"("name":"n", "mtime":"2026-11-22T17:45:46.123456789-07:00" } )");
    EXPECT_EQ(node.name, "n");
    EXPECT_TRUE(node.is_dir());
    EXPECT_EQ(to_rfc3339(node.mtime), "2026-11-22T17:45:46.123456789-07:00");
    EXPECT_EQ(decoded(R"({"name":"a\\x41\\101\\u00e9\\U0001f600","type":"file"})").name,
              "aAA\xc3\xa9\xf0\x9f\x98\x80");
    EXPECT_EQ(decoded(R"({"name":"f","type":"file","content":null})").content.size(), 0u);
}

TEST(Tree, RefusesNodesTwiceOrOutOfOrder) {
    auto tree = [](const char* first, const char* second) {
        return fmt::format(
            R"({{"nodes":[{{"name":"{}","type":"fifo"}},{{"name":"{}","type":"fifo"}}]}})", first,
            second);
    };
    EXPECT_EQ(failure(tree("a", "b")), "no error");
    EXPECT_THAT(failure(tree("a", "a")), ::testing::HasSubstr("\"a\" is not after \"a\""));
    EXPECT_THAT(failure(tree("b", "a")), ::testing::HasSubstr("\"a\" is not after \"b\""));
    EXPECT_EQ(failure(tree("z", "\\\\xff")), "no error");  // by bytes, and they are unsigned
    EXPECT_THAT(failure(tree("\\\\xff", "z")), ::testing::HasSubstr("is not after"));
}

TEST(Tree, RefusesWhatIsNoTree) {
    EXPECT_EQ(failure(tree_with(R"("name":"a","type":"file")")), "no error");
    for (auto fields : {R"("type":"file")",
                        R"("name":"a")",
                        R"("name":"a","type":"door")",
                        R"("name":1,"type":"file")",
                        R"("name":"a","type":"file","name":"b")",
                        R"("name":"a","type":"file","mode":-1)",
                        R"("name":"a","type":"file","mode":4294967296)",
                        R"("name":"a","type":"file","size":1.5)",
                        R"("name":"a","type":"file","size":"1")",
                        R"("name":"a","type":"file","inode":1e3)",
                        R"("name":"a","type":"file","links":18446744073709551616)",
                        R"("name":"a\\","type":"file")",
                        R"("name":"a\\q","type":"file")",
                        R"("name":"a\"","type":"file")",
                        R"("name":"a\n","type":"file")",
                        R"("name":"a\\ud800","type":"file")",
                        R"("name":"a\\U00110000","type":"file")",
                        R"("name":"a\\xg0","type":"file")",
                        R"("name":"a\\400","type":"file")",
                        R"("name":"a\\'","type":"file")",
                        R"("name":"a","type":"file","linktarget_raw":"?")",
                        R"("name":"a","type":"file","generic_attributes":[])",
                        R"("name":"a","type":"file","extended_attributes":{})",
                        R"("name":"a","type":"file","subtree":"0000")"})
        EXPECT_NE(failure(tree_with(fields)), "no error") << fields;
    std::string id(64, 'a');
    for (const std::string& tree : std::initializer_list<std::string>{
             std::string(), std::string("{}"), std::string("[]"), std::string("null"),
             std::string("{\"nodes\":{}}"), std::string("{\"nodes\":[]}x"),
             std::string("{\"nodes\":[],\"nodes\":[]}"), std::string("{\"nodes\":[1]}"),
             R"({"nodes":[{"name":"a","type":"dir","content":[")" + id + R"("]}]})",
             R"({"nodes":[{"name":"a","type":"file","subtree":")" + id + R"("}]})",
             R"({"nodes":[{"name":"a","type":"file","mtime":"yesterday"}]})",
             R"({"nodes":[{"name":"a","type":"file","mtime":"2026-11-22T24:00:00Z"}]})",
             R"({"nodes":[{"name":"a","type":"file","content":["xyz"]}]})"})
        EXPECT_NE(failure(tree), "no error") << tree;
    EXPECT_EQ(failure(R"({"future":1,"nodes":[],"more":[{}]})"), "no error");
}

TEST(Tree, EveryTruncationIsAnError) {
    for (const ResticTree& tree : restic_trees()) {
        if (std::string_view(tree.what) != "types, Europe/Berlin") continue;
        std::string_view json =
            tree.json.substr(0, tree.json.size() - 1);  // the line feed may miss
        EXPECT_NO_THROW(decode_tree(as_bytes(json)));
        for (size_t n = 0; n < json.size(); ++n)
            ASSERT_NE(failure(json.substr(0, n)), "no error") << n;
    }
}

TEST(Node, ModesOfEveryType) {
    EXPECT_EQ(go_mode(S_IFLNK | 0777), 134218239u);
    EXPECT_EQ(go_mode(S_IFIFO | 0644), 33554852u);
    EXPECT_EQ(go_mode(S_IFCHR | 0600), 69206400u);
    EXPECT_EQ(go_mode(S_IFREG | 04755), 8389101u);
    EXPECT_EQ(go_mode(S_IFDIR | 01777), 2148532735u);
    EXPECT_EQ(go_mode(S_IFBLK | 0660), (1u << 26) | 0660u);
    EXPECT_EQ(go_mode(S_IFSOCK | 02755), (1u << 24) | (1u << 22) | 0755u);
    for (mode_t mode = 0; mode <= 07777; ++mode)
        ASSERT_EQ(permission_bits(go_mode(S_IFREG | mode)), mode);
}

TEST(Node, SafeNames) {
    for (std::string_view good : {"a", "...", " ", "a b", "\xff", "..a", "-"})
        EXPECT_TRUE(is_safe_name(good)) << good;
    for (std::string_view bad : {"", ".", "..", "/", "a/b", "/a", "a/", "../a"})
        EXPECT_FALSE(is_safe_name(bad)) << bad;
    EXPECT_FALSE(is_safe_name(std::string_view("a\0b", 3)));
}

rc::Gen<Time> any_time() {
    return rc::gen::build<Time>(
        rc::gen::set(&Time::seconds, rc::gen::inRange<int64_t>(-62135596800, 253402300799)),
        rc::gen::set(&Time::nanoseconds, rc::gen::inRange(0, 1'000'000'000)),
        rc::gen::set(&Time::offset, rc::gen::map(rc::gen::inRange(-23 * 60, 23 * 60),
                                                 [](int minutes) { return minutes * 60; })));
}

Node any_node() {
    auto text = [] { return *rc::gen::arbitrary<std::string>(); };
    auto utf8 = [] {
        return *rc::gen::container<std::string>(
            rc::gen::element<char>('a', '<', '\n', '\b', '"', '\\', '\x7f', '\x1f', ' '));
    };
    Node node;
    node.name = text();
    node.type = static_cast<NodeType>(*rc::gen::inRange(0, 8));
    node.mode = *rc::gen::arbitrary<uint32_t>();
    node.mtime = *any_time();
    node.atime = *any_time();
    node.ctime = *any_time();
    node.uid = *rc::gen::arbitrary<uint32_t>();
    node.gid = *rc::gen::arbitrary<uint32_t>();
    node.user = utf8();
    node.group = utf8();
    node.inode = *rc::gen::arbitrary<uint64_t>();
    node.device_id = *rc::gen::arbitrary<uint64_t>();
    node.size = *rc::gen::arbitrary<uint64_t>();
    node.links = *rc::gen::arbitrary<uint64_t>();
    node.link_target = text();
    node.device = *rc::gen::arbitrary<uint64_t>();
    node.extended_attributes = {{utf8(), to_bytes(text())}};
    node.error = utf8();
    if (node.is_file()) node.content.resize(*rc::gen::inRange<size_t>(0, 4));
    if (node.is_dir()) node.subtree = Id{};
    return node;
}

RC_GTEST_PROP(NodeProperty, DecodingGivesBackEveryField, ()) {
    Node node = any_node();
    std::string json = encoded(node);
    Node back = decoded(json);
    RC_ASSERT(back.name == node.name);
    RC_ASSERT(back.link_target == node.link_target);
    RC_ASSERT(back.user == node.user && back.group == node.group && back.error == node.error);
    RC_ASSERT(back.mtime == node.mtime && back.mtime.offset == node.mtime.offset);
    RC_ASSERT(back.atime == node.atime && back.ctime == node.ctime);
    RC_ASSERT(back.extended_attributes == node.extended_attributes);
    RC_ASSERT(back.content == node.content && back.subtree == node.subtree);
    RC_ASSERT(back.inode == node.inode && back.size == node.size && back.mode == node.mode);
    RC_ASSERT(encoded(back) == json);
}

RC_GTEST_PROP(NodeProperty, TimesAreWrittenAsCoreWritesThem, ()) {
    Node node = any_node();
    std::string json = encoded(node);
    RC_ASSERT(json.find("\"mtime\":\"" + to_rfc3339(node.mtime) + "\",\"atime\":\"" +
                        to_rfc3339(node.atime) + "\",\"ctime\":\"" + to_rfc3339(node.ctime) +
                        '"') != json.npos);
}

RC_GTEST_PROP(TreeProperty, RoundTripsNamesOfAnyBytes, (const std::set<std::string>& names)) {
    std::vector<Node> nodes;
    for (const std::string& name : names) nodes.push_back(file_node(name));
    Bytes json = encode_tree(nodes);
    std::vector<Node> back = decode_tree(json);
    RC_ASSERT(back.size() == nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) RC_ASSERT(back[i].name == nodes[i].name);
    RC_ASSERT(encode_tree(back) == json);
}

TEST(TreeDeathTest, RefusesToWriteNodesOutOfOrder) {
    std::vector<Node> nodes = {file_node("b"), file_node("a")};
    EXPECT_DEATH(encode_tree(nodes), "name");
}

}  // namespace
}  // namespace sevenfold::repository
