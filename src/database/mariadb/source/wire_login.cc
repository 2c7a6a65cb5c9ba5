#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>

#include "core/check.h"
#include "core/cursor.h"
#include "crypto/random.h"
#include "database/mariadb/source/wire.h"

namespace sevenfold::database::mariadb::source {
namespace {

constexpr uint32_t kLongPassword = 1u << 0, kLongFlag = 1u << 2, kConnectWithDatabase = 1u << 3,
                   kProtocol41 = 1u << 9, kTransactions = 1u << 13, kSecureConnection = 1u << 15,
                   kMultiStatements = 1u << 16, kMultiResults = 1u << 17, kPluginAuth = 1u << 19,
                   kConnectAttributes = 1u << 20, kLengthEncodedAuth = 1u << 21;
constexpr uint32_t kOffered = kLongPassword | kLongFlag | kConnectWithDatabase | kProtocol41 |
                              kTransactions | kSecureConnection | kMultiStatements | kMultiResults |
                              kPluginAuth | kConnectAttributes | kLengthEncodedAuth;
constexpr uint8_t kUtf8mb4 = 45;
constexpr uint16_t kAutocommit = 2;

void put(Bytes& to, uint64_t value, size_t bytes) {
    for (; bytes > 0; --bytes, value >>= 8) to.push_back(static_cast<uint8_t>(value));
}
void put_zero_ended(Bytes& to, std::string_view text) {
    append(to, as_bytes(text));
    to.push_back(0);
}
void put_length(Bytes& to, size_t length) {
    if (length < 251) return put(to, length, 1);
    CHECK(length < 65536);
    put(to, 0xfc, 1);
    put(to, length, 2);
}
void put_text(Bytes& to, std::string_view text) {
    put_length(to, text.size());
    append(to, as_bytes(text));
}

std::string take_zero_ended(Cursor& cursor) {
    std::string out;
    for (;;) {
        char c = static_cast<char>(cursor.u8());
        if (c == '\0') return out;
        out += c;
    }
}

uint64_t take_length(Cursor& cursor) {
    uint8_t first = cursor.u8();
    if (first < 251) return first;
    size_t bytes = first == 0xfc ? 2 : first == 0xfd ? 3 : first == 0xfe ? 8 : 0;
    if (bytes == 0) throw Error(ErrorKind::corrupt, "a client's login: bad length");
    uint64_t value = 0;
    ByteView raw = cursor.take(bytes);
    for (size_t i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(raw[i]) << (8 * i);
    return value;
}

using Sha1 = std::array<uint8_t, 20>;
Sha1 sha1(ByteView bytes) {
    Sha1 out;
    CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha1(), nullptr) == 1);
    return out;
}

}  // namespace

Challenge make_challenge() {
    Challenge out;
    crypto::random_bytes(out);
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(byte % 127 + 1);
    return out;
}

Bytes handshake(uint32_t connection, std::string_view server_version, const Challenge& challenge) {
    Bytes out;
    put(out, 10, 1);  // protocol version
    put_zero_ended(out, server_version);
    put(out, connection, 4);
    append(out, ByteView(challenge).first(8));
    put(out, 0, 1);
    put(out, kOffered & 0xffff, 2);
    put(out, kUtf8mb4, 1);
    put(out, kAutocommit, 2);
    put(out, kOffered >> 16, 2);
    put(out, challenge.size() + 1, 1);
    put(out, 0, 10);
    append(out, ByteView(challenge).subspan(8));
    put(out, 0, 1);
    put_zero_ended(out, kNativePassword);
    return out;
}

Login parse_login(ByteView payload) {
    Cursor cursor(payload, "a client's login");
    uint32_t capabilities = cursor.le32();
    if (!(capabilities & kProtocol41) || !(capabilities & kSecureConnection))
        throw Error(ErrorKind::corrupt, "a client's login: protocol before 4.1");
    capabilities &= kOffered;
    cursor.take(4 + 1 + 23);  // largest packet, character set, unused
    Login out;
    out.user = take_zero_ended(cursor);
    uint64_t size = capabilities & kLengthEncodedAuth ? take_length(cursor) : cursor.u8();
    if (size > cursor.remaining()) throw Error(ErrorKind::corrupt, "a client's login: truncated");
    out.response = to_bytes(cursor.take(size));
    if (capabilities & kConnectWithDatabase) take_zero_ended(cursor);
    if ((capabilities & kPluginAuth) && !cursor.done()) out.plugin = take_zero_ended(cursor);
    return out;
}

Bytes switch_to_native_password(const Challenge& challenge) {
    Bytes out;
    put(out, 0xfe, 1);
    put_zero_ended(out, kNativePassword);
    append(out, challenge);
    put(out, 0, 1);
    return out;
}

// response = SHA1(password) xor SHA1(challenge + SHA1(SHA1(password)))
bool answers(const Challenge& challenge, const Secret& password, ByteView response) {
    Sha1 once = sha1(as_bytes(password.reveal()));
    Bytes salted = to_bytes(ByteView(challenge));
    append(salted, sha1(once));
    Sha1 mask = sha1(salted), expected;
    for (size_t i = 0; i < expected.size(); ++i)
        expected[i] = static_cast<uint8_t>(once[i] ^ mask[i]);
    return response.size() == expected.size() &&
           CRYPTO_memcmp(response.data(), expected.data(), expected.size()) == 0;
}

Bytes ok_packet() { return {0, 0, 0, kAutocommit, 0, 0, 0}; }

Bytes eof_packet() { return {0xfe, 0, 0, kAutocommit, 0}; }

Bytes error_packet(uint16_t number, std::string_view message) {
    constexpr size_t kLongest = 500;  // what servers keep of it
    Bytes out;
    put(out, 0xff, 1);
    put(out, number, 2);
    append(out, as_bytes("#HY000"));
    append(out, as_bytes(message.substr(0, kLongest)));
    return out;
}

std::vector<Bytes> result_set(const std::vector<std::string>& columns,
                              const std::vector<std::optional<std::string>>& values) {
    constexpr uint8_t kVarString = 253;
    std::vector<Bytes> out(1);
    put_length(out[0], columns.size());
    for (const std::string& column : columns) {
        Bytes definition;
        put_text(definition, "def");
        for (int i = 0; i < 3; ++i) put_text(definition, "");  // schema, table, original table
        put_text(definition, column);
        put_text(definition, column);
        put_length(definition, 12);  // of what follows
        put(definition, kUtf8mb4, 2);
        put(definition, 1024, 4);  // longest
        put(definition, kVarString, 1);
        put(definition, 0, 2 + 1 + 2);  // flags, decimals, unused
        out.push_back(std::move(definition));
    }
    out.push_back(eof_packet());
    if (!values.empty()) {
        Bytes row;
        for (const auto& value : values)
            if (value)
                put_text(row, *value);
            else
                row.push_back(0xfb);
        out.push_back(std::move(row));
    }
    out.push_back(eof_packet());
    return out;
}

}  // namespace sevenfold::database::mariadb::source
