#include "storage/s3/bucket_path.h"

#include "core/bytes.h"

namespace sevenfold::storage {
namespace {

constexpr size_t kLongestName = 255;
constexpr std::string_view kGoesOn = "%-";

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_escape(std::string_view text, size_t at) {
    return at + 2 < text.size() && hex_digit(text[at + 1]) >= 0 && hex_digit(text[at + 2]) >= 0;
}

std::string escaped(std::string_view name) {
    if (name.empty()) return "%";
    if (name == ".") return "%2E";
    if (name == "..") return "%2E%2E";
    std::string out;
    for (size_t i = 0; i < name.size(); ++i) {
        bool last = i + 1 == name.size() || (i + 2 == name.size() && name[i + 1] == '-');
        if (name[i] == '\0')
            out += "%00";
        else if (name[i] == '%' && (last || is_escape(name, i)))
            out += "%25";
        else
            out += name[i];
    }
    return out;
}

// Where to cut a name that is too long: not inside an escape or a character.
size_t cut_at(std::string_view name) {
    constexpr size_t kMost = kLongestName - kGoesOn.size();
    for (size_t at = kMost; at > kMost - 8; --at) {
        bool in_escape = name[at - 1] == '%' || name[at - 2] == '%';
        bool in_character = (static_cast<unsigned char>(name[at]) & 0xc0) == 0x80;
        if (!in_escape && !in_character) return at;
    }
    for (size_t at = kMost; at > 2; --at)
        if (name[at - 1] != '%' && name[at - 2] != '%') return at;
    return kMost;  // nothing but %: see add_name
}

void add_name(std::string& out, std::string_view name, bool marked) {
    std::string text = escaped(name);
    // A row of % has no good place for a cut: then each is escaped.
    if (text.size() >= kLongestName && name.find("%%") != name.npos) {
        text.clear();
        for (char c : name) {
            if (c == '%' || c == '\0')
                text += c == '%' ? "%25" : "%00";
            else
                text += c;
        }
    }
    std::string_view rest = text;
    while (rest.size() >= kLongestName) {
        size_t at = cut_at(rest);
        out += rest.substr(0, at);
        out += kGoesOn;
        out += '/';
        rest.remove_prefix(at);
    }
    out += rest;
    if (marked) out += '%';
}

std::string mapped(std::string_view key, bool marked) {
    std::string out;
    for (;;) {
        size_t slash = key.find('/');
        bool last = slash == key.npos;
        add_name(out, key.substr(0, slash), last && marked);
        if (last) return out;
        out += '/';
        key.remove_prefix(slash + 1);
    }
}

// A name of which all parts are together.
void unescape_into(std::string& out, std::string_view name) {
    if (name.ends_with('%')) name.remove_suffix(1);
    if (name == "%") return;  // an empty name beside a folder of that name
    for (size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '%' && is_escape(name, i)) {
            char byte = static_cast<char>(hex_digit(name[i + 1]) * 16 + hex_digit(name[i + 2]));
            out += byte;
            i += 2;
        } else {
            out += name[i];
        }
    }
}

}  // namespace

std::string path_of_key(std::string_view key) { return mapped(key, false); }
std::string path_of_key_beside_folder(std::string_view key) { return mapped(key, true); }

std::string key_of_path(std::string_view path) {
    std::string out, name;
    for (;;) {
        size_t slash = path.find('/');
        std::string_view part = path.substr(0, slash);
        bool last = slash == path.npos;
        if (!last && part.ends_with(kGoesOn)) {
            name += part.substr(0, part.size() - kGoesOn.size());
        } else {
            name += part;
            unescape_into(out, name);
            name.clear();
            if (!last) out += '/';
        }
        if (last) return out;
        path.remove_prefix(slash + 1);
    }
}

}  // namespace sevenfold::storage
