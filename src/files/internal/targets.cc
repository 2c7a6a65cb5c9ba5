#include "files/internal/targets.h"

#include <dirent.h>

#include <filesystem>
#include <memory>

#include "core/error.h"

namespace sevenfold::files::internal {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> components(const std::string& target) {
    std::vector<std::string> out;
    for (const fs::path& part : fs::path(target).lexically_normal())
        if (part != "/" && part != "." && part != ".." && !part.empty()) out.push_back(part);
    return out;
}

// The source path of the folder that is `up` components above `target`.
std::string prefix(const std::string& target, size_t up) {
    fs::path path = fs::path(target).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    for (size_t i = 0; i < up; ++i) path = path.parent_path();
    return path.empty() ? "." : path.string();
}

std::vector<std::string> entries_of(const std::string& folder) {
    std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()), closedir);
    if (!dir) throw errno_error("open " + folder);
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        dirent* entry = readdir(dir.get());
        if (!entry) {
            if (errno != 0) throw errno_error("read " + folder);
            return names;
        }
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
}

void add_whole(TargetNode& parent, const std::string& name, const std::string& source) {
    std::string unique = name;
    for (int n = 1;; ++n) {
        auto [it, fresh] = parent.children.try_emplace(unique);
        if (fresh || (!it->second.whole && it->second.source == source)) {
            it->second = {source, true, {}};
            return;
        }
        if (it->second.source == source) return;
        unique = name + "-" + std::to_string(n);
    }
}

}  // namespace

std::string absolute_path(const std::string& path) {
    fs::path normal = fs::absolute(path).lexically_normal();
    if (!normal.has_filename() && normal.has_parent_path() && normal != normal.root_path())
        normal = normal.parent_path();
    return normal;
}

TargetNode resolve_targets(const std::vector<std::string>& targets) {
    TargetNode root;
    for (const std::string& target : targets) {
        std::vector<std::string> parts = components(target);
        if (parts.empty()) {
            for (const std::string& name : entries_of(target))
                add_whole(root, name, (fs::path(target) / name).lexically_normal().string());
            continue;
        }
        TargetNode* node = &root;
        for (size_t i = 0; i + 1 < parts.size() && !node->whole; ++i) {
            std::string source = prefix(target, parts.size() - 1 - i);
            auto [it, fresh] = node->children.try_emplace(parts[i]);
            if (fresh) it->second.source = source;
            node = &it->second;
        }
        if (!node->whole) add_whole(*node, parts.back(), prefix(target, 0));
    }
    return root;
}

}  // namespace sevenfold::files::internal
