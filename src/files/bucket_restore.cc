#include "files/bucket_restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/parallel.h"
#include "core/queue.h"
#include "files/internal/content_reader.h"
#include "files/internal/content_type.h"
#include "files/internal/object_attributes.h"
#include "files/internal/restore_batch.h"
#include "files/internal/restore_report.h"
#include "repository/walk.h"
#include "storage/s3/bucket_path.h"

namespace sevenfold::files {
namespace {

using internal::ContentReader;
using internal::RestoreReport;
using repository::Node;
using storage::Acl;
using storage::AclRight;
using storage::Grant;
using storage::Grantee;
using storage::ListedObject;
using storage::ObjectHeaders;
using storage::ObjectInfo;
using storage::PutOptions;
using storage::Tags;

constexpr unsigned kWorkers = 8;
// A run of files that one worker restores: neighbours, as their blobs are.
constexpr size_t kRunFiles = 32;
constexpr uint64_t kRunBytes = 16 << 20;

struct Job {
    std::string path, key;
    Node node;
};
using Jobs = std::vector<Job>;

// What the object shall be, besides its bytes.
struct Wanted {
    ObjectHeaders headers;
    std::optional<Tags> tags;
    std::optional<Acl> acl;  // of then
};

std::string mtime_text(const Time& time) {
    return fmt::format("{}.{:09}", time.seconds, time.nanoseconds);
}

Wanted wanted(const Node& node) {
    Wanted out;
    if (!internal::was_object(node)) {
        out.headers.content_type = internal::content_type_of(node.name);
        out.headers.metadata["mtime"] = mtime_text(node.mtime);
        return out;
    }
    out.headers = internal::get_headers(node);
    out.tags = storage::parse_tags_text(internal::get_attribute(node, "tags"));
    if (std::string_view acl = internal::get_attribute(node, "acl"); !acl.empty())
        out.acl = storage::parse_acl_text(acl);
    return out;
}

// What the server adds by itself is no difference.
bool same_headers(const ObjectHeaders& want, ObjectHeaders have) {
    if (want.content_type.empty()) have.content_type.clear();
    if (want.storage_class.empty())
        have.storage_class.clear();
    else if (have.storage_class.empty())
        have.storage_class = "STANDARD";
    return want == have;
}

// Single rights, without those that another one includes.
template <class Grants>
std::set<Grant> single(const Grants& grants) {
    std::set<Grant> out;
    for (const Grant& grant : grants)
        if (grant.right == AclRight::full)
            for (AclRight right : {AclRight::read, AclRight::read_acl, AclRight::write_acl})
                out.insert({grant.grantee, right});
        else if (grant.right != AclRight::write)  // means nothing for an object
            out.insert(grant);
    return out;
}

class BucketRestore {
  public:
    BucketRestore(const repository::Repository& repository, storage::Bucket& bucket,
                  const RestoreOptions& options, const BucketRestoreOptions& more)
        : repository_(repository),
          bucket_(bucket),
          options_(options),
          more_(more),
          report_(options),
          prefix_(bucket.key_prefix()) {}

    BucketRestoreResult run() {
        for (ListedObject& object : bucket_.list(prefix_)) {
            std::string key = object.key;
            there_.emplace(std::move(key), std::move(object));
        }
        // Memory: the nodes of two runs for each worker.
        BoundedQueue<Jobs> queue(kWorkers);
        queue_ = &queue;
        ThreadGroup group;
        group.on_failure([&] { queue.abandon(); });
        for (unsigned i = 0; i < kWorkers; ++i)
            group.start([&](std::stop_token stop) {
                while (auto jobs = queue.pop()) restore_run(*jobs, stop);
            });
        // A thread as the others are, so that the first failure is the one that is told.
        group.start([&](std::stop_token) {
            walk();
            queue.close();
        });
        group.wait();
        if (options_.delete_extra) delete_extra();
        return {report_.result(), {compared_, more_open_, more_closed_, unknown_}};
    }

  private:
    void walk() {
        repository::PathVisitor visitor;
        visitor.visit = [&](const std::string& path, const Node& node) {
            report_.check_stop();
            try {
                return visit(path, node);
            } catch (const Error& error) {
                report_.problem(path.substr(1), error);
                return repository::Step::over;
            }
        };
        visitor.failed = [&](const std::string& path, const Error& error) {
            report_.problem(path.empty() ? path : path.substr(1),
                            error.with_context("its list of entries"));
        };
        repository::walk_paths(repository_, options_.tree, "", visitor);
        flush();
        if (options_.progress) options_.progress->totals_known = true;
    }

    repository::Step visit(const std::string& path, const Node& node) {
        using repository::Step;
        if (!repository::is_safe_name(node.name))
            throw Error(ErrorKind::refused, "not a name that an entry may have");
        if (std::ranges::count(path, '/') > internal::kMaxDepth)
            throw Error(ErrorKind::refused,
                        fmt::format("folders nested deeper than {}", internal::kMaxDepth));
        Select::Choice choice = options_.select.choose(path);
        if (node.is_dir()) return choice.enter ? Step::into : Step::over;
        if (!choice.take) return Step::over;
        if (node.is_file())
            add(path.substr(1), node);
        else
            report_.note(fmt::format("{}: a {} cannot be an object", path.substr(1),
                                     repository::name(node.type)));
        return Step::over;
    }

    void add(const std::string& path, const Node& node) {
        std::string key =
            prefix_ + (internal::was_object(node) ? storage::key_of_path(path) : path);
        if (options_.progress && run_.empty()) options_.progress->set_current(path);
        report_.planned(1, node.size);
        if (!keys_.insert(key).second)
            throw Error(ErrorKind::corrupt, "two entries stand for the same object");
        run_bytes_ += node.size;
        run_.push_back({path, std::move(key), node});
        if (run_.size() >= kRunFiles || run_bytes_ >= kRunBytes) flush();
    }

    void flush() {
        run_bytes_ = 0;
        if (!run_.empty() && !queue_->push(std::exchange(run_, {})))
            throw Error(ErrorKind::interrupted, "restore stopped");
    }

    void restore_run(Jobs& jobs, std::stop_token stop) {
        std::vector<const std::vector<Id>*> contents;
        for (const Job& job : jobs) contents.push_back(&job.node.content);
        ContentReader reader(repository_, contents);
        for (size_t i = 0; i < jobs.size() && !stop.stop_requested(); ++i) {
            report_.check_stop();
            try {
                restore_object(jobs[i], reader, i);
            } catch (const Error& error) {
                report_.problem(jobs[i].path, error);
            }
        }
    }

    bool left_alone(const Node& node, const ListedObject& there) const {
        return options_.overwrite == Overwrite::never ||
               (options_.overwrite == Overwrite::if_newer && node.mtime <= there.modified);
    }

    void restore_object(const Job& job, ContentReader& reader, size_t number) {
        auto found = there_.find(job.key);
        const ListedObject* there = found == there_.end() ? nullptr : &found->second;
        if (there && left_alone(job.node, *there)) {
            ++report_.skipped;
            return done(job.node.size);
        }
        const Wanted want = wanted(job.node);
        const uint64_t size = reader.size(number);
        if (size != job.node.size)
            throw Error(
                ErrorKind::corrupt,
                fmt::format("its chunks hold {} bytes, its entry says {}", size, job.node.size));
        auto read = [&](uint64_t offset, size_t length) {
            report_.check_stop();
            return reader.read(number, offset, length);
        };
        std::optional<ObjectInfo> info;  // once it was asked for, of the object as it is now
        bool same = there && there->size == size && has_content(job, *there, size, read, info);
        if (options_.dry_run) {
            ++(same ? report_.unchanged : report_.files);
            (same ? report_.bytes_kept : report_.bytes) += size;
            return done(size);
        }
        if (same) {
            bool changed = set_headers(job, *there, want, info);
            ++(changed ? report_.files : report_.unchanged);
            report_.bytes_kept += size;
        } else {
            upload(job, there, want, size, read);
            info.reset();
            ++report_.files;
            report_.bytes += size;
        }
        if (options_.verify) verify(job, size, read);
        compare_rest(job, want, info ? *info : bucket_.head(job.key));
        done(size);
    }

    void done(uint64_t size) {
        report_.bytes_done(size);
        report_.item_done();
    }

    // By the ETag it had, or by the one that our upload would give.
    template <class Read>
    bool has_content(const Job& job, const ListedObject& there, uint64_t size, Read read,
                     std::optional<ObjectInfo>& info) {
        if (!there.etag.empty() && internal::get_attribute(job.node, "etag") == there.etag)
            return true;
        if (options_.overwrite == Overwrite::if_changed && !internal::was_object(job.node)) {
            info = bucket_.head(job.key, {.if_match = there.etag});
            const auto& metadata = info->headers.metadata;
            auto mtime = metadata.find("mtime");
            return mtime != metadata.end() && mtime->second == mtime_text(job.node.mtime);
        }
        return storage::Bucket::gives_etag(there.etag, size, read);
    }

    PutOptions put_options(const ListedObject* there, const Wanted& want) {
        PutOptions options{.headers = want.headers};
        if (options.headers.storage_class == "STANDARD" || classes_refused_)
            options.headers.storage_class.clear();
        if (want.tags) options.tags = *want.tags;
        options.create_only = !there;
        if (there) options.if_match = there->etag;
        return options;
    }

    template <class Read>
    void upload(const Job& job, const ListedObject* there, const Wanted& want, uint64_t size,
                Read read) {
        PutOptions options = put_options(there, want);
        auto put = [&] {
            try {
                bucket_.put_from(job.key, size, read, options);
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::exists) throw;
                throw error.with_context("left alone: it has changed meanwhile");
            }
        };
        try {
            put();
        } catch (const Error& error) {
            std::string& storage_class = options.headers.storage_class;
            if (error.kind() != ErrorKind::config || storage_class.empty()) throw;
            // Another vendor has other classes.
            if (!classes_refused_.exchange(true))
                report_.note(
                    fmt::format("{}: the target does not know class {}: objects get its own",
                                job.path, storage_class));
            storage_class.clear();
            put();
        }
    }

    // True when something had to be changed.
    bool set_headers(const Job& job, const ListedObject& there, const Wanted& want,
                     std::optional<ObjectInfo>& info) {
        if (!info) info = bucket_.head(job.key, {.if_match = there.etag});
        if (same_headers(comparable(want.headers), info->headers)) return false;
        bucket_.copy(job.key, "", job.key, put_options(&there, want), false);
        info.reset();
        return true;
    }

    ObjectHeaders comparable(ObjectHeaders headers) const {
        if (classes_refused_) headers.storage_class.clear();
        return headers;
    }

    template <class Read>
    void verify(const Job& job, uint64_t size, Read read) {
        constexpr uint64_t kPiece = 8 << 20;
        for (uint64_t offset = 0; offset < size; offset += kPiece) {
            auto length = static_cast<size_t>(std::min(kPiece, size - offset));
            if (bucket_.get_range(job.key, offset, length) != read(offset, length))
                throw Error(ErrorKind::io, "verify: the object has other bytes than the snapshot");
        }
        ++report_.verified;
    }

    // Puts tags and grants right, and looks whether all is as it was.
    void compare_rest(const Job& job, const Wanted& want, const ObjectInfo& info) {
        if (info.size != job.node.size)
            throw Error(ErrorKind::io, "the bucket holds another size than was sent");
        if (!same_headers(comparable(want.headers), info.headers))
            report_.problem(job.path, Error(ErrorKind::io,
                                            "the bucket keeps other headers than "
                                            "were sent"));
        if (want.tags && (!want.tags->empty() || info.tag_count.value_or(0) > 0)) {
            auto differ = [&] { return bucket_.tags(job.key) != *want.tags; };
            bool wrong = differ();
            if (wrong) {
                bucket_.put_tags(job.key, *want.tags);
                wrong = differ();
            }
            if (wrong)
                report_.problem(job.path, Error(ErrorKind::io, "its tags cannot be put back"));
        }
        compare_grants(job, want);
    }

    void compare_grants(const Job& job, const Wanted& want) {
        bool is_private = !want.acl || std::ranges::all_of(want.acl->grants, [&](const Grant& g) {
            return g.grantee.id == want.acl->owner;
        });
        Acl have;
        try {
            have = bucket_.acl(job.key);
        } catch (const Error& error) {
            bool refused =
                error.kind() == ErrorKind::permission || error.kind() == ErrorKind::unsupported;
            if (!refused) throw;
            ++unknown_;
            if (is_private) return;
            throw error.with_context("its grants cannot be put back");
        }
        if (!want.acl && internal::was_object(job.node)) ++unknown_;
        bool complete = true;
        std::set<Grant> mapped;
        for (const Grant& grant : want.acl ? want.acl->grants : std::vector<Grant>()) {
            auto grantee = mapped_grantee(grant.grantee, want.acl->owner, have.owner);
            if (grantee) {
                mapped.insert({*grantee, grant.right});
                continue;
            }
            complete = false;
            report_.problem(
                job.path,
                Error(ErrorKind::unsupported,
                      fmt::format("the right {} of account {} is not put back: the target "
                                  "belongs to another account",
                                  storage::name(grant.right), grant.grantee.id),
                      "Say who it is there with --grantee THEN=NOW."));
        }
        // What nothing is known of belongs to its owner alone.
        if (!want.acl) mapped = {{{Grantee::Kind::user, have.owner}, AclRight::full}};
        const std::set<Grant> goal = single(mapped);
        if (single(have.grants) != goal) {
            bucket_.put_acl(job.key, {have.owner, {mapped.begin(), mapped.end()}});
            have = bucket_.acl(job.key);
        }
        ++compared_;
        const std::set<Grant> now = single(have.grants);
        bool open = !std::ranges::includes(goal, now);
        bool closed = !complete || !std::ranges::includes(now, goal);
        more_open_ += open;
        more_closed_ += closed;
        if (open || (closed && complete))
            report_.problem(
                job.path, Error(ErrorKind::io, fmt::format("its grants are more {} than they were",
                                                           open ? "open" : "closed")));
    }

    std::optional<Grantee> mapped_grantee(const Grantee& then, const std::string& owner_then,
                                          const std::string& owner_now) const {
        if (then.kind != Grantee::Kind::user) return then;
        if (then.id == owner_then) return Grantee{Grantee::Kind::user, owner_now};
        if (auto named = more_.grantees.find(then.id); named != more_.grantees.end())
            return Grantee{Grantee::Kind::user, named->second};
        if (owner_then == owner_now) return then;
        return std::nullopt;
    }

    void delete_extra() {
        if (report_.result().problem_count > 0)
            return report_.problem("", Error(ErrorKind::refused,
                                             "nothing was removed, as not everything is restored"));
        std::vector<std::pair<std::string, std::string>> extra;
        for (const auto& [key, object] : there_) {
            std::string path = storage::path_of_key(std::string_view(key).substr(prefix_.size()));
            if (!keys_.contains(key) && options_.select.choose("/" + path).take)
                extra.emplace_back(key, path);
        }
        std::ranges::sort(extra);
        for (const auto& [key, path] : extra) {
            report_.check_stop();
            if (!options_.dry_run) bucket_.remove(key);
            if (options_.on_delete) options_.on_delete(path);
            ++report_.deleted;
        }
    }

    const repository::Repository& repository_;
    storage::Bucket& bucket_;
    const RestoreOptions& options_;
    const BucketRestoreOptions& more_;
    RestoreReport report_;
    const std::string prefix_;
    std::unordered_map<std::string, ListedObject> there_;
    std::unordered_set<std::string> keys_;
    Jobs run_;
    uint64_t run_bytes_ = 0;
    BoundedQueue<Jobs>* queue_ = nullptr;
    std::atomic<bool> classes_refused_{false};
    std::atomic<uint64_t> compared_{0}, more_open_{0}, more_closed_{0}, unknown_{0};
};

}  // namespace

BucketRestoreResult restore_to_bucket(const repository::Repository& repository,
                                      storage::Bucket& bucket, const RestoreOptions& options,
                                      const BucketRestoreOptions& more) {
    return BucketRestore(repository, bucket, options, more).run();
}

}  // namespace sevenfold::files
