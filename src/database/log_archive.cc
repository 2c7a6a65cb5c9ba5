#include "database/log_archive.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>

#include "os/file.h"

namespace sevenfold::database {
namespace {

using repository::Node;
using Key = std::pair<std::string, std::string>;  // incarnation, name

class FolderArchive : public LogArchive {
  public:
    explicit FolderArchive(const std::string& folder) : folder_(folder) {
        namespace fs = std::filesystem;
        std::error_code failure;
        for (const auto& incarnation : fs::directory_iterator(folder, failure)) {
            if (!incarnation.is_directory()) continue;
            for (const auto& file : fs::directory_iterator(incarnation.path()))
                if (file.is_regular_file())
                    segments_.push_back(
                        {incarnation.path().filename(), file.path().filename(), file.file_size()});
        }
        if (failure && failure != std::errc::no_such_file_or_directory)
            throw errno_error("read " + folder, failure.value());
        std::ranges::sort(segments_, {},
                          [](const LogSegment& s) { return Key(s.incarnation, s.name); });
    }
    const std::vector<LogSegment>& segments() const override { return segments_; }
    size_t read(size_t number, uint64_t offset, MutableByteView out) const override {
        const LogSegment& segment = segments_.at(number);
        if (offset >= segment.size) return 0;
        std::string path = fmt::format("{}/{}/{}", folder_, segment.incarnation, segment.name);
        os::UniqueFd fd = os::open_file(path, O_RDONLY);
        size_t wanted = std::min<uint64_t>(out.size(), segment.size - offset);
        return os::pread_all(fd.get(), out.first(wanted), offset, path);
    }

  private:
    std::string folder_;
    std::vector<LogSegment> segments_;
};

class RepositoryArchive : public LogArchive {
  public:
    RepositoryArchive(const repository::Repository& repository,
                      const std::vector<repository::Snapshot>& snapshots)
        : repository_(repository) {
        std::map<Key, Node> newest;
        for (const repository::Snapshot& snapshot : snapshots)
            for (const Node& incarnation : repository.load_tree(snapshot.tree)) {
                if (!incarnation.subtree) continue;
                for (Node& file : repository.load_tree(*incarnation.subtree)) {
                    auto [at, added] = newest.try_emplace({incarnation.name, file.name}, file);
                    if (!added && file.size > at->second.size) at->second = std::move(file);
                }
            }
        for (auto& [key, node] : newest) {
            segments_.push_back({key.first, key.second, node.size});
            File file;
            uint64_t offset = 0;
            for (const Id& id : node.content) {
                auto blob = repository.index().find({repository::BlobType::data, id});
                if (!blob)
                    throw Error(ErrorKind::corrupt,
                                fmt::format("{}: blob {} is missing", node.name, id.short_hex()));
                file.blobs.push_back(id);
                file.starts.push_back(offset);
                offset += blob->blob.plaintext_length();
            }
            files_.push_back(std::move(file));
        }
    }
    const std::vector<LogSegment>& segments() const override { return segments_; }
    size_t read(size_t number, uint64_t offset, MutableByteView out) const override {
        const File& file = files_.at(number);
        size_t done = 0;
        while (done < out.size() && offset < segments_[number].size) {
            size_t i = std::upper_bound(file.starts.begin(), file.starts.end(), offset) -
                       file.starts.begin() - 1;
            auto bytes = blob(file.blobs[i]);
            size_t from = offset - file.starts[i];
            if (from >= bytes->size()) break;
            size_t n = std::min(out.size() - done, bytes->size() - from);
            memcpy(out.data() + done, bytes->data() + from, n);
            done += n;
            offset += n;
        }
        return done;
    }

  private:
    struct File {
        std::vector<Id> blobs;
        std::vector<uint64_t> starts;  // of each blob in the file
    };
    // The last blobs stay in memory: logs are read from front to end. At most 4 × 8 MiB.
    std::shared_ptr<const Bytes> blob(const Id& id) const {
        {
            std::lock_guard lock(mutex_);
            for (const auto& [known, bytes] : recent_)
                if (known == id) return bytes;
        }
        auto bytes =
            std::make_shared<const Bytes>(repository_.load_blob({repository::BlobType::data, id}));
        std::lock_guard lock(mutex_);
        recent_.emplace_front(id, bytes);
        if (recent_.size() > 4) recent_.pop_back();
        return bytes;
    }

    const repository::Repository& repository_;
    std::vector<LogSegment> segments_;
    std::vector<File> files_;
    mutable std::mutex mutex_;
    mutable std::deque<std::pair<Id, std::shared_ptr<const Bytes>>> recent_;
};

class JoinedArchive : public LogArchive {
  public:
    explicit JoinedArchive(std::vector<std::unique_ptr<LogArchive>> archives)
        : archives_(std::move(archives)) {
        std::map<Key, std::pair<size_t, size_t>> best;
        for (size_t a = 0; a < archives_.size(); ++a)
            for (size_t n = 0; n < archives_[a]->segments().size(); ++n) {
                const LogSegment& segment = archives_[a]->segments()[n];
                auto [at, added] =
                    best.try_emplace({segment.incarnation, segment.name}, std::pair(a, n));
                auto [other, place] = at->second;
                if (!added && segment.size > archives_[other]->segments()[place].size)
                    at->second = {a, n};
            }
        for (const auto& [key, source] : best) {
            segments_.push_back(archives_[source.first]->segments()[source.second]);
            sources_.push_back(source);
        }
    }
    const std::vector<LogSegment>& segments() const override { return segments_; }
    size_t read(size_t number, uint64_t offset, MutableByteView out) const override {
        auto [archive, place] = sources_.at(number);
        return archives_[archive]->read(place, offset, out);
    }

  private:
    std::vector<std::unique_ptr<LogArchive>> archives_;
    std::vector<LogSegment> segments_;
    std::vector<std::pair<size_t, size_t>> sources_;
};

}  // namespace

std::unique_ptr<LogArchive> open_log_folder(const std::string& folder) {
    return std::make_unique<FolderArchive>(folder);
}
std::unique_ptr<LogArchive> open_log_snapshots(const repository::Repository& repository,
                                               const std::vector<repository::Snapshot>& snapshots) {
    return std::make_unique<RepositoryArchive>(repository, snapshots);
}
std::unique_ptr<LogArchive> join_log_archives(std::vector<std::unique_ptr<LogArchive>> archives) {
    return std::make_unique<JoinedArchive>(std::move(archives));
}

}  // namespace sevenfold::database
