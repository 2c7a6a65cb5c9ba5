#include "net/sftp_codec.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/error.h"
#include "core/random.h"

namespace sevenfold::net::sftp {
namespace {

// What follows the type and id of a built packet.
Bytes body_of(PacketWriter writer) {
    Bytes packet = writer.finish();
    return Bytes(packet.begin() + 9, packet.end());
}
PacketWriter reply(PacketType type) { return PacketWriter(type, 7); }

TEST(SftpCodec, WritesPacketsAsTheDraftHasThem) {
    Bytes packet = PacketWriter(PacketType::open, 0x01020304)
                       .string("ab")
                       .u32(kOpenWrite | kOpenCreate)
                       .u64(0x1122334455667788)
                       .finish(10);
    EXPECT_EQ(to_hex(packet),
              "00000021"
              "03"
              "01020304"
              "000000026162"
              "0000000a"
              "1122334455667788");
}

TEST(SftpCodec, ParsesReplies) {
    Bytes packet = reply(PacketType::status).u32(3).string("no way").string("en").finish();
    Reply parsed = parse_reply(ByteView(packet).subspan(4));
    EXPECT_EQ(parsed.type, PacketType::status);
    EXPECT_EQ(parsed.id, 7u);
    EXPECT_EQ(parse_status(parsed.body).code, StatusCode::permission_denied);
    EXPECT_EQ(parse_status(parsed.body).message, "no way");
    EXPECT_EQ(parse_status(body_of(reply(PacketType::status).u32(1))).code, StatusCode::eof);

    EXPECT_EQ(parse_handle(body_of(reply(PacketType::handle).string("h"))), "h");
    Bytes data = body_of(reply(PacketType::data).string("xyz"));
    EXPECT_EQ(as_text(parse_data(data)), "xyz");
    Attributes attributes = parse_attributes(body_of(reply(PacketType::attributes)
                                                         .u32(0x8000000f)
                                                         .u64(5)
                                                         .u64(0)
                                                         .u32(0100644)
                                                         .u32(7)
                                                         .u32(8)
                                                         .u32(1)
                                                         .string("a")
                                                         .string("b")));
    EXPECT_EQ(attributes.size, 5u);
    EXPECT_EQ(attributes.modified, 8u);
    EXPECT_TRUE(attributes.is_regular());
    Bytes names = body_of(reply(PacketType::name)
                              .u32(2)
                              .string("a")
                              .string("long")
                              .u32(0)
                              .string("b")
                              .string("")
                              .u32(5)
                              .u64(9)
                              .u32(040755));
    auto entries = parse_names(names);
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].name, "a");
    EXPECT_FALSE(entries[0].attributes.size);
    EXPECT_EQ(entries[1].attributes.size, 9u);
    EXPECT_TRUE(entries[1].attributes.is_directory());
    Limits limits =
        parse_limits(body_of(reply(PacketType::extended_reply).u64(1).u64(2).u64(3).u64(4)));
    EXPECT_EQ(limits.write, 3u);
}

TEST(SftpCodec, ParsesVersion) {
    Bytes packet =
        PacketWriter(PacketType::version, 3).string("fsync@openssh.com").string("1").finish();
    Version version = parse_version(ByteView(packet).subspan(4));
    EXPECT_EQ(version.version, 3u);
    EXPECT_TRUE(version.offers("fsync@openssh.com", "1"));
    EXPECT_FALSE(version.offers("fsync@openssh.com", "2"));
    Bytes other = reply(PacketType::status).u32(0).finish();
    EXPECT_THROW(parse_version(ByteView(other).subspan(4)), Error);
}

TEST(SftpCodec, RefusesBadHandlesAndCounts) {
    EXPECT_THROW(parse_handle(body_of(reply(PacketType::handle).string(""))), Error);
    EXPECT_THROW(parse_handle(body_of(reply(PacketType::handle).string(std::string(257, 'x')))),
                 Error);
    EXPECT_THROW(parse_names(body_of(reply(PacketType::name).u32(0xffffffff))), Error);
    EXPECT_THROW(parse_data(body_of(reply(PacketType::data).u32(100).u32(0))), Error);
}

TEST(Deframer, RefusesSillyLengths) {
    for (std::string text : {std::string(4, '\0'), std::string("Welcome to this host\n")}) {
        Deframer deframer;
        std::copy(text.begin(), text.end(), deframer.space().begin());
        deframer.filled(text.size());
        EXPECT_THROW(deframer.next(), Error);
    }
}

RC_GTEST_PROP(Deframer, GivesBackWhatWasFramedAtAnySplit, ()) {
    auto sizes = *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 100'000));
    SplitMix64 random(*rc::gen::arbitrary<uint64_t>());
    Bytes stream;
    std::vector<Bytes> expected, got;
    for (int size : sizes) {
        std::string payload(static_cast<size_t>(size), static_cast<char>(random.next()));
        Bytes packet = PacketWriter(PacketType::data, 1).string(payload).finish();
        append(stream, packet);
        expected.emplace_back(packet.begin() + 4, packet.end());
    }
    Deframer deframer;
    ByteView rest = stream;
    while (!rest.empty()) {
        MutableByteView space = deframer.space();
        size_t n = std::min({rest.size(), space.size(), size_t{1} + random.below(70'000)});
        std::copy_n(rest.begin(), n, space.begin());
        deframer.filled(n);
        rest = rest.subspan(n);
        while (auto packet = deframer.next()) got.push_back(to_bytes(*packet));
    }
    RC_ASSERT(got == expected);
}

// Whatever the bytes: a value or Error{corrupt}, nothing else.
RC_GTEST_PROP(SftpCodec, SurvivesGarbage, (const std::vector<uint8_t>& garbage)) {
    auto survive = [&](auto parse) {
        try {
            parse(ByteView(garbage));
        } catch (const Error& error) {
            RC_ASSERT(error.kind() == ErrorKind::corrupt);
        }
    };
    survive(parse_reply);
    survive(parse_version);
    survive(parse_status);
    survive(parse_handle);
    survive(parse_data);
    survive(parse_names);
    survive(parse_attributes);
    survive(parse_limits);
    survive(parse_statvfs);
}

}  // namespace
}  // namespace sevenfold::net::sftp
