#include "storage/layout.h"

#include "core/bytes.h"

namespace sevenfold::storage {
namespace {

constexpr std::string_view kDigits = "0123456789", kHexDigits = "0123456789abcdef";
constexpr size_t kMostDigits = 20;  // of 64 bits

bool only(std::string_view text, std::string_view characters) {
    return !text.empty() && text.find_first_not_of(characters) == text.npos;
}

}  // namespace

bool is_temporary_name(FileType type, std::string_view name) {
    size_t dash = name.find('-');
    if (dash == name.npos) return false;
    std::string_view stem = name.substr(0, dash), rest = name.substr(dash);
    if (type == FileType::config ? stem != "config" : !Id::parse(stem)) return false;
    auto suffix = [&](std::string_view marker) {
        return rest.starts_with(marker) ? rest.substr(marker.size()) : std::string_view();
    };
    std::string_view plain = suffix("-tmp-"), restic = suffix("-restic-temp-");
    return (plain.size() == 16 && only(plain, kHexDigits)) ||
           (plain.size() <= kMostDigits && only(plain, kDigits)) ||
           (restic.size() == 32 && only(restic, kHexDigits));
}

std::optional<uint8_t> pack_folder(std::string_view name) {
    uint8_t byte = 0;
    if (name.size() != 2 || !only(name, kHexDigits) || !from_hex(name, {&byte, 1}))
        return std::nullopt;
    return byte;
}

bool StoredInto::first_time(const FileName& name) {
    bool is_pack = name.type == FileType::pack;
    auto& flag = is_pack ? packs_[name.id.bytes[0]] : others_[static_cast<size_t>(name.type)];
    return !flag.exchange(true);
}

}  // namespace sevenfold::storage
