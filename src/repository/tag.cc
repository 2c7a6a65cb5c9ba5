#include "repository/tag.h"

#include <algorithm>

namespace sevenfold::repository {

std::vector<std::string> split_tag_list(std::string_view text) {
    std::vector<std::string> out;
    for (size_t at = 0; at <= text.size();) {
        size_t comma = std::min(text.find(',', at), text.size());
        if (comma > at) out.emplace_back(text.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

bool apply(const TagChange& change, Snapshot& snapshot) {
    std::vector<std::string> tags = change.set ? *change.set : snapshot.tags;
    for (const std::string& tag : change.add)
        if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
    for (const std::string& tag : change.remove) std::erase(tags, tag);
    bool changed = tags != snapshot.tags;
    snapshot.tags = std::move(tags);
    return changed;
}

void replace_snapshot(const Repository& repository, Snapshot& edited) {
    Id old = edited.id;
    if (!edited.original) edited.original = old;
    save_snapshot(repository, edited);
    repository.remove(storage::FileType::snapshot, old);
}

}  // namespace sevenfold::repository
