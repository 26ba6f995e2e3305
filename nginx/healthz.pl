# The health check of the gateway's container: asks the control socket, with the perl that every Debian has.
use IO::Socket::UNIX;
my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0], Timeout => 2) or die "$ARGV[0]: $!\n";
print $socket "GET /healthz HTTP/1.0\r\n\r\n";
exit(<$socket> =~ m{^HTTP/1\.1 200} ? 0 : 1);
