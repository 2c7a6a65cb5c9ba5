#include "database/mariadb/load/late_keys.h"

namespace sevenfold::database::mariadb {
namespace {

bool begins(std::string_view line, std::string_view with) { return line.starts_with(with); }

// The first column of a key's definition: "  KEY `name` (`a`,`b`)".
std::string_view first_column(std::string_view line) {
    size_t open = line.find(" (`");
    if (open == line.npos) return {};
    size_t start = open + 3;
    size_t end = line.find('`', start);
    return end == line.npos ? std::string_view() : line.substr(start, end - start);
}

struct Lines {
    std::vector<std::string_view> definitions;  // between the parentheses, without final comma
    std::string_view head, tail;
};

// The server prints each definition on a line of its own, and line breaks in texts escaped.
Lines split_lines(std::string_view create) {
    Lines out;
    size_t at = create.find("(\n");
    if (at == create.npos) return out;
    out.head = create.substr(0, at + 2);
    std::string_view rest = create.substr(at + 2);
    while (!rest.empty()) {
        size_t end = rest.find('\n');
        std::string_view line = rest.substr(0, end);
        if (!begins(line, "  ") || end == rest.npos) break;
        if (line.ends_with(',')) line.remove_suffix(1);
        out.definitions.push_back(line);
        rest.remove_prefix(end + 1);
    }
    out.tail = rest;
    return out;
}

}  // namespace

SplitTable split_table(std::string_view create, bool small) {
    SplitTable out;
    Lines lines = split_lines(create);
    bool late = !small && lines.tail.find("ENGINE=InnoDB") != lines.tail.npos &&
                lines.tail.find("PARTITION BY") == lines.tail.npos &&
                create.find("SYSTEM VERSIONING") == create.npos;
    std::string_view counter;  // the AUTO_INCREMENT column, which must have a key from the start
    for (std::string_view line : lines.definitions)
        if (begins(line, "  `") && line.find(" AUTO_INCREMENT") != line.npos)
            counter = line.substr(3, line.find('`', 3) - 3);
    out.counter = !counter.empty();
    std::vector<std::string_view> kept;
    for (std::string_view line : lines.definitions) {
        std::string add = "ADD " + std::string(line.substr(2));
        bool needed = !counter.empty() && first_column(line) == counter;
        if (begins(line, "  CONSTRAINT ") && line.find(" FOREIGN KEY (") != line.npos)
            out.foreign_keys.push_back(add);
        else if (late && !needed && (begins(line, "  KEY ") || begins(line, "  UNIQUE KEY ")))
            out.keys.push_back(add);
        else if (late && (begins(line, "  FULLTEXT KEY ") || begins(line, "  SPATIAL KEY ")))
            out.full_text.push_back(add);
        else
            kept.push_back(line);
    }
    if (lines.definitions.empty()) {
        out.create = create;
        return out;
    }
    out.create = lines.head;
    for (size_t i = 0; i < kept.size(); ++i) {
        out.create += kept[i];
        out.create += i + 1 < kept.size() ? ",\n" : "\n";
    }
    out.create += lines.tail;
    return out;
}

}  // namespace sevenfold::database::mariadb
