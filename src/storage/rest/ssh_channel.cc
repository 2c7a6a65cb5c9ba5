#include "storage/rest/ssh_channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "net/ssh_command.h"

namespace sevenfold::storage {

SshChannel::SshChannel(const std::vector<std::string>& argv, std::string location, bool may_ask)
    : location_(std::move(location)) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        throw errno_error("connection to ssh");
    socket_.reset(ends[0]);
    os::UniqueFd far(ends[1]);
    if (far.get() <= 2) far.reset(::fcntl(far.get(), F_DUPFD_CLOEXEC, 3));
    ssh_ = std::make_unique<os::ChildProcess>(
        os::ChildOptions{.argv = argv, .connection = far.get(), .own_group = !may_ask});
}

Error SshChannel::explain(const Error& error) {
    if (error.kind() != ErrorKind::network) return error;
    auto status = ssh_->wait_for(std::chrono::seconds(2));
    if (!status) return error;
    ssh_->wait();  // for the end of its words
    return net::explain_ssh_failure(location_, ssh_->error_tail(), "ssh: " + status->display());
}

}  // namespace sevenfold::storage
