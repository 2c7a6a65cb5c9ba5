#include "database/mariadb/physical/internal/tree_sink.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>

#include "core/error.h"
#include "core/log.h"
#include "database/mariadb/physical/internal/checkpoints.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr size_t kLargestInfo = 1 << 20;

// "binlog_info" of "xtrabackup_binlog_info", and of the name it has since 11.1.
std::string info_name(const std::string& path) {
    for (std::string_view prefix : internal::kInfoPrefixes)
        if (path.starts_with(prefix) && path.find('/') == path.npos)
            return path.substr(prefix.size());
    return {};
}

// The byte of a .frm that numbers the engine, and the files of those engines that have the same
// ones for every table.
constexpr size_t kEngineAt = 3;
struct EngineFiles {
    uint8_t engine;
    std::array<const char*, 2> extensions;
};
constexpr EngineFiles kEngineFiles[] = {{9, {".MYI", ".MYD"}}, {42, {".MAI", ".MAD"}}};

bool is_table_file(const std::string& path) {
    for (const EngineFiles& files : kEngineFiles)
        for (const char* extension : files.extensions)
            if (path.ends_with(extension)) return true;
    return false;
}

}  // namespace

bool has_pages(const std::string& path) {
    size_t slash = path.rfind('/'), dot = path.rfind('.');
    std::string_view name = std::string_view(path).substr(slash == path.npos ? 0 : slash + 1);
    if (name.starts_with("ibdata") || name.starts_with("undo")) return true;
    std::string_view extension = dot == path.npos ? "" : std::string_view(path).substr(dot);
    constexpr std::array kPages = {".ibd", ".new", ".MAD", ".MAI", ".MYD", ".MYI"};
    return std::ranges::any_of(kPages, [&](auto known) { return extension == known; });
}

// Where a file under way goes: straight into the tree, or, when the tool may go back in it, into a
// nameless file first.
struct TreeSink::Target {
    std::unique_ptr<repository::TreeWriter::File> file;
    os::UniqueFd spool;
    uint64_t size = 0;
    bool is_info = false;
};

TreeSink::TreeSink(repository::TreeWriter& tree, Options options)
    : tree_(tree), options_(std::move(options)) {}
TreeSink::~TreeSink() = default;

void TreeSink::begin(const std::string& path, bool replaces) {
    repository::StreamFileOptions file;
    if (has_pages(path)) file.fixed_chunk = options_.chunk_size;
    auto target = std::make_unique<Target>();
    if (replaces) tree_.remove(options_.prefix + path);
    target->file = tree_.create(options_.prefix + path, file);
    target->is_info = !info_name(path).empty();
    if (target->is_info) info_[info_name(path)].clear();
    if (path.starts_with("aria_log."))
        target->spool = os::open_file(options_.temporary_folder, O_TMPFILE | O_RDWR, 0600);
    if (path.ends_with(".isl")) has_links_ = true;
    open_[path] = std::move(target);
}

void TreeSink::data(const std::string& path, uint64_t offset, ByteView bytes) {
    Target& target = *open_.at(path);
    if (target.spool.valid()) {
        os::pwrite_all(target.spool.get(), bytes, offset, path);
    } else {
        if (offset != target.size)
            throw Error(ErrorKind::unsupported,
                        fmt::format("backup stream: {} is written in the middle", printable(path)),
                        "This version of mariadb-backup does something new; please report it.");
        target.file->write(bytes);
    }
    if (path.ends_with(".frm") && offset <= kEngineAt && kEngineAt - offset < bytes.size())
        definitions_[path] = bytes[kEngineAt - offset];
    target.size = std::max(target.size, offset + bytes.size());
    if (target.is_info) {
        std::string& content = info_[info_name(path)];
        content += as_text(bytes);
        if (content.size() > kLargestInfo)
            throw Error(ErrorKind::corrupt,
                        fmt::format("backup stream: {} is too large", printable(path)));
    }
    if (options_.progress) options_.progress->bytes_done += bytes.size();
}

void TreeSink::end(const std::string& path) {
    Target& target = *open_.at(path);
    if (target.spool.valid()) {
        Bytes buffer(1 << 20);
        for (uint64_t at = 0; at < target.size;) {
            size_t n = os::pread_all(target.spool.get(), buffer, at, path);
            if (n == 0) throw Error(ErrorKind::io, fmt::format("{}: its copy got shorter", path));
            target.file->write(ByteView(buffer).first(n));
            at += n;
        }
    }
    target.file->finish();
    if (is_table_file(path)) table_files_.insert(path);
    if (info_name(path) == "binlog_info") position_came_ = Clock::system().now();
    open_.erase(path);
    if (options_.progress) ++options_.progress->items_done;
}

// DDL meanwhile on tables that were copied already. A name that is not there is nothing to the
// tool's own reader either.
void TreeSink::rename(const std::string& from, const std::string& to) {
    if (!tree_.rename(options_.prefix + from, options_.prefix + to)) return;
    if (table_files_.erase(from) != 0) table_files_.insert(to);
    if (auto node = definitions_.extract(from)) {
        definitions_.erase(to);
        node.key() = to;
        definitions_.insert(std::move(node));
    }
}

void TreeSink::remove(const std::string& path) {
    tree_.remove(options_.prefix + path);
    table_files_.erase(path);
    definitions_.erase(path);
}

std::vector<std::string> TreeSink::tables_without_files() const {
    std::vector<std::string> out;
    for (const auto& [path, engine] : definitions_)
        for (const EngineFiles& files : kEngineFiles) {
            std::string table = path.substr(0, path.size() - 4);
            if (files.engine == engine &&
                std::ranges::any_of(files.extensions, [&](const char* extension) {
                    return !table_files_.contains(table + extension);
                }))
                out.push_back(table);
        }
    return out;
}

const std::string* TreeSink::info(const std::string& name) const {
    auto found = info_.find(name);
    return found == info_.end() ? nullptr : &found->second;
}

}  // namespace sevenfold::database::mariadb
