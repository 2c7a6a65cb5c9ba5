#include "database/mariadb/stream/trim_second.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <optional>

#include "database/mariadb/stream/spool.h"

namespace sevenfold::database::mariadb {
namespace {

using Key = std::pair<std::string, std::string>;  // incarnation, file

// The parts of one file.
class PartsOfFile : public PartStore {
  public:
    PartsOfFile(PartStore& store, std::vector<Part> parts)
        : store_(store), parts_(std::move(parts)) {}
    std::string location() const override { return store_.location(); }
    std::vector<Part> list() override { return parts_; }
    Bytes read(const Part& part, uint64_t offset, size_t length) override {
        return store_.read(part, offset, length);
    }
    void remove(const Part& part) override { store_.remove(part); }

  private:
    PartStore& store_;
    std::vector<Part> parts_;
};

// How long the local files are that nobody appends to any more; nothing: leave it alone.
std::map<Key, std::optional<uint64_t>> local_sizes(const std::string& spool) {
    std::vector<Key> files;
    for (const std::string& incarnation : spool_incarnations(spool))
        for (const std::string& file : spool_files(spool, incarnation))
            files.emplace_back(incarnation, file);
    std::map<Key, std::optional<uint64_t>> sizes;
    for (size_t i = 0; i < files.size(); ++i) {
        std::optional<uint64_t>& size = sizes[files[i]];
        if (i + 2 >= files.size()) continue;
        std::error_code gone;
        uint64_t found = std::filesystem::file_size(
            fmt::format("{}/{}/{}", spool, files[i].first, files[i].second), gone);
        if (!gone) size = found;
    }
    return sizes;
}

}  // namespace

size_t trim_second_spool(PartStore& store, const crypto::CipherKey& key, const std::string& spool,
                         const Sealer& sealer) {
    auto local = local_sizes(spool);
    std::map<Key, std::vector<PartStore::Part>> parts;
    for (PartStore::Part& part : store.list())
        if (auto name = parse_part_name(part.name))
            parts[{part.incarnation, name->file}].push_back(std::move(part));
    auto is_stored = [&](const std::string& incarnation, const std::string& file) {
        Key name(incarnation, file);
        auto at = local.find(name);
        if (at != local.end())
            return at->second && sealer.stored_everywhere(incarnation, file, *at->second);
        if (!sealer.stored_everywhere(incarnation, file, 1)) return false;
        PartsOfFile of_file(store, parts[name]);
        auto archive = open_sealed_spool(of_file, key);
        // What cannot be read, or not from its start on, says nothing about its length.
        return !archive->segments().empty() &&
               sealer.stored_everywhere(incarnation, file, archive->segments()[0].size);
    };
    return trim_sealed_spool(store, is_stored);
}

}  // namespace sevenfold::database::mariadb
