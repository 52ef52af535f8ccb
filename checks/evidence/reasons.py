"""The kernel's reasons for a drop in plain words: enum skb_drop_reason of include/net/dropreason-core.h, Linux 6.18."""

_WORDS = {
    "NO_SOCKET": "nothing listens on that port",
    "SOCKET_FILTER": "a filter of the program that listens refuses it",
    "NETFILTER_DROP": "a rule of the packet filter drops it",
    "OTHERHOST": "it was sent to a hardware address that the receiver has not",
    "IP_CSUM": "its checksum is wrong",
    "TCP_CSUM": "its checksum is wrong",
    "IP_RPFILTER": "the reverse path filter takes its source for a false one",
    "UNICAST_IN_L2_MULTICAST": "it was sent to everybody's hardware address",
    "XFRM_POLICY": "a policy of IPsec asks for encryption that it has not",
    "SOCKET_BACKLOG": "the program that listens does not keep up",
    "TCP_FLAGS": "its flags fit no connection",
    "TCP_MD5NOTFOUND": "the listener asks for a signature",
    "TCP_LISTEN_OVERFLOW": "the queue of the program that listens is full",
    "IP_OUTNOROUTES": "the host has no route for it",
    "IP_INNOROUTES": "the host has no route for it, or one that refuses",
    "IP_INADDRERRORS": "it would have to be forwarded, and the host does not forward or has no way",
    "IP_LOCAL_SOURCE": "it comes from outside with an address of the host itself",
    "IP_INVALID_SOURCE": "its source is no address that a host may have",
    "IP_LOCALNET": "it is for 127.0.0.0/8, and comes from outside",
    "IP_INVALID_DEST": "its destination is no address that a host may have",
    "BPF_CGROUP_EGRESS": "a program of the container's control group drops it",
    "IPV6DISABLED": "IPv6 is switched off on that interface",
    "NEIGH_CREATEFAIL": "the table of neighbours is full",
    "NEIGH_FAILED": "nobody answers for its hardware address",
    "NEIGH_QUEUEFULL": "nobody has answered for its hardware address yet",
    "NEIGH_DEAD": "its neighbour was just removed",
    "TC_EGRESS": "a filter of tc drops it on its way out",
    "TC_INGRESS": "a filter of tc drops it on its way in",
    "SECURITY_HOOK": "a security module (SELinux, AppArmor, BPF) refuses it",
    "QDISC_DROP": "the queue of the interface drops it",
    "CPU_BACKLOG": "the processor's queue is full",
    "XDP": "an XDP program drops it",
    "DEV_READY": "the interface is not up",
    "PKT_TOO_BIG": "it is too large for the next link",
    "BRIDGE_INGRESS_STP_STATE": "spanning tree keeps the bridge's port closed",
    "NO_TX_TARGET": "the bridge has no port to send it to",
}


def plain_words(reason: str) -> str:
    """What a reason means; empty for one that is not known here: it is quoted then."""
    return _WORDS.get(reason, "")
