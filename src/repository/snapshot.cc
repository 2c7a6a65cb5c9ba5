#include "repository/snapshot.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "repository/internal/json_reader.h"
#include "repository/internal/json_writer.h"

namespace sevenfold::repository {
namespace {

void write_summary(JsonWriter& json, const SnapshotSummary& summary) {
    json.raw(",\"summary\":{\"backup_start\":");
    json.time(summary.backup_start);
    json.raw(",\"backup_end\":");
    json.time(summary.backup_end);
    auto number = [&](std::string_view key, uint64_t value) {
        json.raw(key);
        json.u64(value);
    };
    number(",\"files_new\":", summary.files_new);
    number(",\"files_changed\":", summary.files_changed);
    number(",\"files_unmodified\":", summary.files_unmodified);
    number(",\"dirs_new\":", summary.dirs_new);
    number(",\"dirs_changed\":", summary.dirs_changed);
    number(",\"dirs_unmodified\":", summary.dirs_unmodified);
    number(",\"data_blobs\":", summary.data_blobs);
    number(",\"tree_blobs\":", summary.tree_blobs);
    number(",\"data_added\":", summary.data_added);
    number(",\"data_added_packed\":", summary.data_added_packed);
    number(",\"total_files_processed\":", summary.total_files_processed);
    number(",\"total_bytes_processed\":", summary.total_bytes_processed);
    json.raw("}");
}

SnapshotSummary read_summary(JsonReader& json) {
    SnapshotSummary out;
    const std::pair<std::string_view, uint64_t*> numbers[] = {
        {"files_new", &out.files_new},
        {"files_changed", &out.files_changed},
        {"files_unmodified", &out.files_unmodified},
        {"dirs_new", &out.dirs_new},
        {"dirs_changed", &out.dirs_changed},
        {"dirs_unmodified", &out.dirs_unmodified},
        {"data_blobs", &out.data_blobs},
        {"tree_blobs", &out.tree_blobs},
        {"data_added", &out.data_added},
        {"data_added_packed", &out.data_added_packed},
        {"total_files_processed", &out.total_files_processed},
        {"total_bytes_processed", &out.total_bytes_processed},
    };
    json.begin_object();
    while (json.next_key()) {
        auto* number = std::find_if(std::begin(numbers), std::end(numbers),
                                    [&](const auto& entry) { return entry.first == json.key(); });
        if (number != std::end(numbers)) {
            *number->second = json.u64();
        } else if (json.key() == "backup_start") {
            out.backup_start = json.time();
        } else if (json.key() == "backup_end") {
            out.backup_end = json.time();
        } else {
            json.skip();  // rustic's summary is larger
        }
    }
    return out;
}

std::vector<std::string> read_strings(JsonReader& json) {
    std::vector<std::string> out;
    json.begin_array();
    while (json.next_element()) out.emplace_back(json.string());
    return out;
}

// False for a key that is not ours.
bool read_field(JsonReader& json, Snapshot& out) {
    std::string_view key = json.key();
    if (key == "time") {
        out.time = json.time();
    } else if (key == "parent") {
        out.parent = json.id();
    } else if (key == "tree") {
        out.tree = json.id();
    } else if (key == "paths") {
        out.paths = read_strings(json);
    } else if (key == "hostname") {
        out.hostname = json.string();
    } else if (key == "username") {
        out.username = json.string();
    } else if (key == "uid") {
        out.uid = json.u32();
    } else if (key == "gid") {
        out.gid = json.u32();
    } else if (key == "excludes") {
        out.excludes = read_strings(json);
    } else if (key == "tags") {
        out.tags = read_strings(json);
    } else if (key == "original") {
        out.original = json.id();
    } else if (key == "program_version") {
        out.program_version = json.string();
    } else if (key == "summary") {
        out.summary = read_summary(json);
    } else {
        return false;
    }
    return true;
}

}  // namespace

bool Snapshot::has_tag(std::string_view tag) const {
    return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

std::string encode_snapshot(const Snapshot& snapshot) {
    Bytes out;
    JsonWriter json(out);
    auto text = [&](std::string_view key, const std::string& value) {
        if (value.empty()) return;
        json.raw(key);
        json.string(value);
    };
    auto list = [&](std::string_view key, const std::vector<std::string>& values) {
        if (values.empty()) return;
        json.raw(key);
        json.strings(values);
    };
    auto id = [&](std::string_view key, const std::optional<Id>& value) {
        if (!value) return;
        json.raw(key);
        json.id(*value);
    };
    auto number = [&](std::string_view key, uint64_t value) {
        if (value == 0) return;
        json.raw(key);
        json.u64(value);
    };
    json.raw("{\"time\":");
    json.time(snapshot.time);
    id(",\"parent\":", snapshot.parent);
    id(",\"tree\":", snapshot.tree);
    json.raw(",\"paths\":");
    json.strings(snapshot.paths);
    text(",\"hostname\":", snapshot.hostname);
    text(",\"username\":", snapshot.username);
    number(",\"uid\":", snapshot.uid);
    number(",\"gid\":", snapshot.gid);
    list(",\"excludes\":", snapshot.excludes);
    list(",\"tags\":", snapshot.tags);
    id(",\"original\":", snapshot.original);
    text(",\"program_version\":", snapshot.program_version);
    if (snapshot.summary) write_summary(json, *snapshot.summary);
    json.raw("}");
    json.finish();
    return std::string(as_text(out));
}

Snapshot decode_snapshot(ByteView bytes) {
    Snapshot out;
    bool has_time = false, has_tree = false;
    JsonReader json(bytes, "snapshot");
    json.begin_object();
    while (json.next_key()) {
        bool is_time = json.key() == "time", is_tree = json.key() == "tree";
        if (json.null()) continue;
        if (!read_field(json, out)) json.skip();
        has_time |= is_time;
        has_tree |= is_tree;
    }
    json.end();
    if (!has_time) json.fail("no time");
    if (!has_tree) json.fail("no tree");
    return out;
}

}  // namespace sevenfold::repository
