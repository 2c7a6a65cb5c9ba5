#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "core/secret.h"
#include "repository/internal/json_reader.h"
#include "repository/internal/json_writer.h"
#include "repository/internal/key_file.h"

namespace sevenfold::repository {
namespace {

// Base64 by way of a buffer that is wiped; `json` has room for it without moving.
void write_secret(JsonWriter& json, ByteView secret) {
    std::string text = to_base64(secret);
    json.raw("\"");
    json.raw(text);
    json.raw("\"");
    wipe(text.data(), text.size());
}

void read_secret(JsonReader& json, MutableByteView out) {
    Bytes bytes = json.base64();
    bool fits = bytes.size() == out.size();
    if (fits) std::copy(bytes.begin(), bytes.end(), out.begin());
    wipe(bytes.data(), bytes.size());
    if (!fits) json.fail("part of the master key has a wrong length");
}

}  // namespace

std::string encode_key_file(const KeyFile& key) {
    Bytes out;
    JsonWriter json(out);
    json.raw("{\"created\":");
    json.time(key.created);
    json.raw(",\"username\":");
    json.string(key.username);
    json.raw(",\"hostname\":");
    json.string(key.hostname);
    json.raw(",\"kdf\":\"scrypt\",\"N\":");
    json.u64(key.scrypt.n);
    json.raw(",\"r\":");
    json.u64(key.scrypt.r);
    json.raw(",\"p\":");
    json.u64(key.scrypt.p);
    json.raw(",\"salt\":");
    json.base64(key.salt);
    json.raw(",\"data\":");
    json.base64(key.data);
    json.raw("}");
    json.finish();
    return std::string(as_text(out));
}

KeyFile decode_key_file(ByteView bytes, std::string_view what) {
    KeyFile key;
    std::string kdf;
    key.scrypt = {0, 0, 0};
    JsonReader json(bytes, what);
    json.begin_object();
    while (json.next_key()) {
        std::string_view name = json.key();
        if (name == "created") {
            key.created = json.time();
        } else if (name == "username") {
            key.username = json.string();
        } else if (name == "hostname") {
            key.hostname = json.string();
        } else if (name == "kdf") {
            kdf = json.string();
        } else if (name == "N") {
            key.scrypt.n = json.u64();
        } else if (name == "r") {
            key.scrypt.r = json.u32();
        } else if (name == "p") {
            key.scrypt.p = json.u32();
        } else if (name == "salt") {
            key.salt = json.base64();
        } else if (name == "data") {
            key.data = json.base64();
        } else {
            json.skip();
        }
    }
    json.end();
    if (!kdf.empty() && kdf != "scrypt")
        throw Error(ErrorKind::unsupported, fmt::format("{}: its kdf is not scrypt", what));
    if (kdf.empty() || !key.scrypt.valid()) json.fail("invalid parameters of scrypt");
    if (key.salt.size() != kSaltSize) json.fail("salt of a wrong length");
    if (key.data.size() <= crypto::kEnvelopeOverhead) json.fail("no master key");
    return key;
}

Bytes encode_master_key(const crypto::CipherKey& key) {
    Bytes out;
    out.reserve(256);  // never moved, so that no copy stays behind
    JsonWriter json(out);
    json.raw("{\"mac\":{\"k\":");
    write_secret(json, key.mac_k);
    json.raw(",\"r\":");
    write_secret(json, key.mac_r);
    json.raw("},\"encrypt\":");
    write_secret(json, key.encrypt);
    json.raw("}");
    json.finish();
    return out;
}

crypto::CipherKey decode_master_key(ByteView bytes) {
    crypto::CipherKey key;
    JsonReader json(bytes, "master key");
    json.begin_object();
    while (json.next_key()) {
        if (json.key() == "encrypt") {
            read_secret(json, key.encrypt);
        } else if (json.key() == "mac") {
            json.begin_object();
            while (json.next_key()) {
                if (json.key() == "k") {
                    read_secret(json, key.mac_k);
                } else if (json.key() == "r") {
                    read_secret(json, key.mac_r);
                } else {
                    json.skip();
                }
            }
        } else {
            json.skip();
        }
    }
    json.end();
    if (!key.valid()) json.fail("not a key");
    return key;
}

}  // namespace sevenfold::repository
