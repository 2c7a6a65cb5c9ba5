#include "database/mariadb/load/internal/base_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "database/mariadb/dump/schema.h"
#include "repository/dump.h"
#include "repository/walk.h"

namespace sevenfold::database::mariadb {

using repository::Node;

constexpr uint64_t kMostStatements = 1 << 30;  // bytes of a file of statements

BaseReader::BaseReader(const repository::Repository& repository, const Id& tree)
    : repository_(repository) {
    repository::PathVisitor visitor;
    visitor.visit = [&](const std::string& path, const Node& node) {
        if (node.is_file()) files_.emplace(path.substr(1), node);
        return repository::Step::into;
    };
    repository::walk_paths(repository, tree, "", visitor);
}

const Node& BaseReader::file(const std::string& path) const {
    auto at = files_.find(path);
    if (at == files_.end())
        throw Error(ErrorKind::not_found, fmt::format("{}: not in this base", path));
    return at->second;
}

std::vector<std::string> BaseReader::statements(const std::string& path) const {
    auto at = files_.find(path);
    if (at == files_.end()) return {};
    if (at->second.size > kMostStatements)
        throw Error(ErrorKind::corrupt, fmt::format("{}: not of a usable size", path));
    Bytes text;
    text.reserve(at->second.size);
    repository::dump_file(repository_, at->second, [&](ByteView bytes) { append(text, bytes); });
    try {
        return split_statements(as_text(text));
    } catch (const Error& error) {
        throw error.with_context(path);
    }
}

FileStream::FileStream(const BaseReader& base, const std::string& path, std::stop_token stop)
    : queue_(4), filler_([this, &base, &node = base.file(path), stop](std::stop_token own) {
          try {
              repository::dump_file(
                  base.repository(), node,
                  [&](ByteView bytes) {
                      if (!queue_.push(to_bytes(bytes)) || own.stop_requested())
                          throw Error(ErrorKind::interrupted, "interrupted");
                  },
                  stop);
          } catch (...) {
              failure_ = std::current_exception();
          }
          queue_.close();
      }) {}

size_t FileStream::read(char* to, size_t size) {
    while (at_ == current_.size()) {
        auto next = queue_.pop();
        if (!next) {
            if (filler_.joinable()) filler_.join();
            if (failure_) std::rethrow_exception(failure_);
            return 0;
        }
        current_ = std::move(*next);
        at_ = 0;
    }
    size_t n = std::min(size, current_.size() - at_);
    memcpy(to, current_.data() + at_, n);
    at_ += n;
    return n;
}

}  // namespace sevenfold::database::mariadb
