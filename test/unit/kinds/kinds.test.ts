/** Each kind of object: how it is read out of what a host prints, and the words that set and remove it. */
import * as fc from "fast-check";
import { type Action, kindOf, kinds, type Value } from "../../../provider/kinds";
import { addressKey, parseAddressKey } from "../../../provider/kinds/address";
import { bootFiles, bootValue, cksum, readBoot } from "../../../provider/kinds/bootFiles";
import { trafficKey } from "../../../provider/kinds/dialect";
import { DEVICE_PREFIX } from "../../../provider/kinds/kind";
import { TABLE } from "../../../provider/kinds/nftables";
import { fact, probeOf } from "../../../provider/kinds/probe";
import { defaultRoute } from "../../../provider/kinds/route";
import { interfaceSysctl, sysctlKey, sysctlPath } from "../../../provider/kinds/sysctl";
import { show } from "../../../provider/reconcile/plan";

const read = (kind: string, sections: Record<string, string>) =>
    Object.fromEntries(kindOf(kind).read(probeOf(sections)));
/** Actions as a person would type them; a script of ours by its first words. */
const said = (actions: Action[]): string[] =>
    actions.map((action) =>
        "run" in action
            ? action.run.join(" ")
            : "write" in action
              ? `${action.text} > ${action.write}`
              : `script ${action.words.join(" ")}`,
    );
const set = (kind: string, key: string, want: Value, have?: Value) => said(kindOf(kind).set(key, want, have));
const unset = (kind: string, key: string, have: Value = true) => said(kindOf(kind).unset!(key, have));

test("nothing is read of a host that says nothing", () => {
    for (const kind of kinds) expect([kind.name, [...kind.read(probeOf({}))]]).toEqual([kind.name, []]);
});

test("every kind has a name of its own, and what is not known is refused by name", () => {
    expect(new Set(kinds.map(({ name }) => name)).size).toBe(kinds.length);
    expect(() => kindOf("teapot")).toThrow(/teapot/);
});

test("every kind that can be taken away says how, and a child's rank is above its parent's", () => {
    for (const kind of kinds) {
        if (kind.nature === "rule" || kind.nature === "thing")
            expect([kind.name, kind.unset]).toEqual([kind.name, expect.any(Function)]);
    }
    const key = "tcp/192.0.2.100:80/192.0.2.21:80";
    expect(kindOf("destination").parent!(key)).toEqual({ kind: "service", key: "tcp/192.0.2.100:80" });
    expect(kindOf("destination").rank(key)).toBeGreaterThan(kindOf("service").rank("tcp/192.0.2.100:80"));
    for (const kind of kinds)
        if (kind.name !== "address") expect(kind.rank("net.x")).toBeLessThan(kindOf("address").rank(""));
});

describe("sysctl", () => {
    test.each([
        ["net/ipv4/ip_forward:1", "net.ipv4.ip_forward", "1"],
        ["/proc/sys/net/ipv4/conf/eth0.100/arp_ignore:1", "net.ipv4.conf.eth0/100.arp_ignore", "1"],
        ["net/ipv4/vs/sync_threshold:3\t50", "net.ipv4.vs.sync_threshold", "3 50"],
        ["net/ipv4/tcp_rmem:4096\t131072   6291456 ", "net.ipv4.tcp_rmem", "4096 131072 6291456"],
        ["net/ipv6/conf/a.b.c/forwarding:0", "net.ipv6.conf.a/b/c.forwarding", "0"],
    ])("%s is read", (line, key, value) => {
        expect(read("sysctl", { sysctl: `${line}\n` })).toEqual({ [key]: value });
    });

    test("a key and its path are one another's reverse, dots in interface names and all", () => {
        expect(interfaceSysctl("ipv4", "eth0.100", "rp_filter")).toBe("net.ipv4.conf.eth0/100.rp_filter");
        expect(sysctlPath("net.ipv4.conf.eth0/100.rp_filter")).toBe("/proc/sys/net/ipv4/conf/eth0.100/rp_filter");
        const part = fc.stringMatching(/^[a-z0-9_.@-]{1,12}$/).filter((text) => text !== "." && text !== "..");
        fc.assert(
            fc.property(part, part, (device, name) => {
                const path = `net/ipv4/conf/${device}/${name}`;
                expect(sysctlPath(sysctlKey(path))).toBe(`/proc/sys/${path}`);
                expect(sysctlKey(`/proc/sys/${path}`)).toBe(sysctlKey(path));
            }),
        );
    });

    test("it is set by writing its file, without a process", () => {
        expect(set("sysctl", "net.ipv4.conf.eth0/1.arp_ignore", "1")).toEqual([
            "1 > /proc/sys/net/ipv4/conf/eth0.1/arp_ignore",
        ]);
        expect(said(kindOf("sysctl").restore!("net.ipv4.vs.conntrack", "0", "1"))).toEqual([
            "0 > /proc/sys/net/ipv4/vs/conntrack",
        ]);
    });

    test("what the kernel itself moves is no difference, and only there", () => {
        const same = (key: string, want: string, have: string) => kindOf("sysctl").satisfied!(want, have, key);
        expect(same("net.ipv4.vs.drop_entry", "1", "2")).toBe(true);
        expect(same("net.ipv4.vs.drop_entry", "1", "3")).toBe(false);
        expect(same("net.ipv4.vs.conntrack", "1", "2")).toBe(false);
        expect(same("net.ipv4.vs.sync_threshold", "3 50", "3\t50")).toBe(true);
    });

    test("settings of our own devices are set after these, all others before", () => {
        const rank = (key: string) => kindOf("sysctl").rank(key);
        expect(rank(interfaceSysctl("ipv4", `${DEVICE_PREFIX}ipip-1234`, "rp_filter"))).toBeGreaterThan(
            kindOf("link").rank(""),
        );
        expect(rank(interfaceSysctl("ipv4", "eth0", "arp_ignore"))).toBeLessThan(kindOf("link").rank(""));
    });

    test("another file of the host that sets it is named", () => {
        const probe = probeOf({
            "sysctl.d": "/etc/sysctl.d/9-x.conf:net.ipv4.ip_forward=1\n/etc/sysctl.conf:net.ipv4.ip_forwarder=1\n",
        });
        expect(kindOf("sysctl").stays!("net.ipv4.ip_forward", probe, "0")).toMatch(/9-x\.conf/);
        expect(kindOf("sysctl").stays!("net.ipv4.ip_forwar", probe, "0")).toBeUndefined();
        expect(kindOf("forwarding").stays!("ipv4", probe, { on: false })).toMatch(/9-x\.conf/);
    });

    test.each([
        ["net/ipv4/conf/eth0.100/forwarding=1", "net.ipv4.conf.eth0/100.forwarding"],
        ["net.ipv4.conf.eth0/100.forwarding = 1", "net.ipv4.conf.eth0/100.forwarding"],
        ["-net.ipv4.vs.conntrack=1", "net.ipv4.vs.conntrack"],
        [" - net/ipv4/vs/conntrack=1", "net.ipv4.vs.conntrack"],
    ])("a file may write %s for %s", (line, key) => {
        const stays = (text: string) =>
            kindOf("sysctl").stays!(key, probeOf({ "sysctl.d": `/etc/sysctl.d/9-x.conf:${text}\n` }), "0");
        expect(stays(line)).toMatch(/9-x\.conf sets it too/);
        // A dash without a value says that no pattern of another line sets it.
        expect(stays(line.replace(/ ?=.*/, ""))).toBeUndefined();
    });

    test.each([
        ["ipv4", "net/ipv4/ip_forward=1"],
        ["ipv4", "-net.ipv4.conf.all.forwarding=1"],
        ["ipv6", "net/ipv6/conf/all/forwarding=1"],
    ])("the switch of %s that a file sets as %s stays", (family, line) => {
        const probe = probeOf({ "sysctl.d": `/etc/sysctl.d/9-x.conf:${line}\n` });
        expect(kindOf("forwarding").stays!(family, probe, { on: false })).toMatch(/9-x\.conf/);
    });
});

describe("forwarding", () => {
    const sections = {
        sysctl: [
            "net/ipv4/ip_forward:0",
            "net/ipv4/conf/all/forwarding:0",
            "net/ipv4/conf/default/forwarding:0",
            "net/ipv4/conf/eth0.100/forwarding:1",
            "net/ipv4/conf/eth0.100/accept_redirects:0",
            "net/ipv4/conf/eth0.100/rp_filter:1",
            "net/ipv6/conf/all/forwarding:1",
            "net/ipv6/conf/eth0/accept_redirects:1",
        ].join("\n"),
    };
    const found = read("forwarding", sections);

    test("the switch is read with the settings of every interface that it resets", () => {
        expect(found["ipv4"]).toEqual({
            on: false,
            interfaces: { default: { forwarding: "0" }, "eth0/100": { forwarding: "1", accept_redirects: "0" } },
        });
        expect(found["ipv6"]).toEqual({ on: true, interfaces: { eth0: { accept_redirects: "1" } } });
    });

    test("it is given back with them, the switch first, interfaces that are gone left out", () => {
        const have = { on: true, interfaces: { "eth0/100": {}, eth9: {} } };
        expect(said(kindOf("forwarding").restore!("ipv4", found["ipv4"]!, have))).toEqual([
            "0 > /proc/sys/net/ipv4/ip_forward",
            "1 > /proc/sys/net/ipv4/conf/eth0.100/forwarding",
            "0 > /proc/sys/net/ipv4/conf/eth0.100/accept_redirects",
        ]);
    });

    test("a host that takes router advertisements is told to go on before it forwards IPv6, and what did not listen does not", () => {
        const have = read("forwarding", {
            sysctl: [
                "net/ipv6/conf/all/forwarding:0",
                "net/ipv6/conf/all/accept_ra:1",
                "net/ipv6/conf/eth0/forwarding:0",
                "net/ipv6/conf/eth0/accept_ra:1",
                "net/ipv6/conf/eth1.5/accept_ra:0",
                "net/ipv6/conf/eth2/forwarding:1",
                "net/ipv6/conf/eth2/accept_ra:1",
            ].join("\n"),
        })["ipv6"]!;
        const on = "1 > /proc/sys/net/ipv6/conf/all/forwarding";
        expect(set("forwarding", "ipv6", { on: true }, have)).toEqual([
            "2 > /proc/sys/net/ipv6/conf/eth0/accept_ra",
            on,
        ]);
        expect(set("forwarding", "ipv6", { on: false }, have)).toEqual(["0 > /proc/sys/net/ipv6/conf/all/forwarding"]);
        const after = { on: true, interfaces: { eth0: {}, "eth1/5": {}, eth2: {} } };
        expect(said(kindOf("forwarding").restore!("ipv6", have, after))).toEqual([
            "0 > /proc/sys/net/ipv6/conf/all/forwarding",
            "0 > /proc/sys/net/ipv6/conf/eth0/forwarding",
            "1 > /proc/sys/net/ipv6/conf/eth0/accept_ra",
            "0 > /proc/sys/net/ipv6/conf/eth1.5/accept_ra",
            "1 > /proc/sys/net/ipv6/conf/eth2/forwarding",
            "1 > /proc/sys/net/ipv6/conf/eth2/accept_ra",
        ]);
        // Of a host that nobody has seen, as at boot, the script itself says which interfaces.
        expect(set("forwarding", "ipv6", { on: true })).toEqual(["script ", on]);
        expect(set("forwarding", "ipv4", { on: true })).toEqual(["1 > /proc/sys/net/ipv4/ip_forward"]);
    });

    test("any number but 0 is on, and is given back as it was", () => {
        const found = read("forwarding", { sysctl: "net/ipv4/ip_forward:2\n" })["ipv4"]!;
        expect(found).toMatchObject({ on: true });
        expect(kindOf("forwarding").satisfied!({ on: true }, found, "ipv4")).toBe(true);
        expect(said(kindOf("forwarding").restore!("ipv4", found, { on: false }))).toEqual([
            "2 > /proc/sys/net/ipv4/ip_forward",
        ]);
    });

    test("in a message it is on or off, whatever the interfaces had", () => {
        expect(show(found["ipv4"], "forwarding")).toBe("off");
        expect(show({ on: true }, "forwarding")).toBe("on");
    });

    test("an interface that ceased to forward is set right, one that did not when it was found or that somebody claims is not", () => {
        const interfaces = { eth0: { forwarding: "0" }, "eth1/5": { forwarding: "0" }, eth2: { forwarding: "1" } };
        const mended = (family: string, found: Value, claimed: string[] = []) =>
            said(
                kindOf("forwarding").mend!(family, { on: true }, { on: true, interfaces }, found, ({ key }) =>
                    claimed.includes(key),
                ),
            );
        const both = ["1 > /proc/sys/net/ipv4/conf/eth0/forwarding", "1 > /proc/sys/net/ipv4/conf/eth1.5/forwarding"];
        // The switch sets all of them.
        expect(mended("ipv4", { on: false, interfaces })).toEqual(both);
        expect(mended("ipv4", { on: true, interfaces: { "eth1/5": { forwarding: "0" } } })).toEqual([both[0]]);
        expect(mended("ipv4", { on: true, interfaces: { default: { forwarding: "0" } } })).toEqual([]);
        expect(mended("ipv4", { on: false }, ["net.ipv4.conf.eth0.forwarding"])).toEqual([both[1]]);
        expect(mended("ipv6", { on: false })).toEqual([]);
    });

    test("an interface that took router advertisements before the host forwarded, and no longer does, is set right", () => {
        const interfaces = {
            ...{ eth0: { accept_ra: "1" }, eth1: { accept_ra: "0" }, eth2: { accept_ra: "1" } },
            ...{ eth3: { accept_ra: "2" }, "eth4/5": { accept_ra: "1" }, eth5: { accept_ra: "1" } },
        };
        const found = {
            on: false,
            interfaces: {
                ...{ eth0: { accept_ra: "1" }, eth1: { accept_ra: "1" }, eth2: { accept_ra: "0" } },
                ...{ eth3: { accept_ra: "1" }, "eth4/5": { accept_ra: "1" } },
                eth5: { accept_ra: "1", forwarding: "1" },
            },
        };
        const mended = (before: Value, claimed = "", on = true) =>
            said(kindOf("forwarding").mend!("ipv6", { on }, { on, interfaces }, before, ({ key }) => key === claimed));
        const eth0 = "2 > /proc/sys/net/ipv6/conf/eth0/accept_ra";
        const eth4 = "2 > /proc/sys/net/ipv6/conf/eth4.5/accept_ra";
        expect(mended(found)).toEqual([eth0, eth4]);
        expect(mended(found, "net.ipv6.conf.eth4/5.accept_ra")).toEqual([eth0]);
        expect(mended({ ...found, on: true })).toEqual([]);
        expect(mended(found, "", false)).toEqual([]);
    });

    test("it stays on where somebody else translates addresses, in a table of the family, and was not on before", () => {
        const stays = (family: string, sections: Record<string, string>, on = false) =>
            kindOf("forwarding").stays!(family, probeOf(sections), { on });
        const input = "table ip nat {\nnat\nnat\ntable ip6 filter {\n";
        expect(stays("ipv4", { input })).toMatch(/"ip nat" translates addresses/);
        expect(stays("ipv4", { input }, true)).toBeUndefined();
        expect(stays("ipv6", { input })).toBeUndefined();
        expect(stays("ipv6", { input: "table inet x {\nnat\n" })).toMatch(/inet x/);
        expect(stays("ipv6", { "input.iptables": "iptables\nip6tables\nnat\n" })).toMatch(/ip6tables/);
        expect(stays("ipv4", { "input.iptables": "iptables\n:INPUT ACCEPT [0:0]\nip6tables\nnat\n" })).toBeUndefined();
    });
});

describe("addresses", () => {
    test.each([
        [
            "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever",
            "lo/127.0.0.1/8",
            false,
        ],
        [
            "2: eth0    inet 192.0.2.100/32 scope global eth0\\       valid_lft forever preferred_lft forever",
            "eth0/192.0.2.100/32",
            false,
        ],
        [
            "2: eth0    inet 10.0.0.9/24 brd 10.0.0.255 scope global secondary dynamic eth0:web\\       valid_lft 9sec preferred_lft 9sec",
            "eth0/10.0.0.9/24",
            false,
        ],
        [
            "7: eth0.100    inet 10.0.0.9/24 metric 100 brd 10.0.0.255 scope global eth0.100\\       valid_lft forever preferred_lft forever",
            "eth0.100/10.0.0.9/24",
            false,
        ],
        [
            "3: tun0    inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0\\       valid_lft forever preferred_lft forever",
            "tun0/10.8.0.1 10.8.0.2/32",
            false,
        ],
        [
            "2: eth0    inet6 2001:db8::100/128 scope global deprecated \\       valid_lft forever preferred_lft 0sec",
            "eth0/2001:db8::100/128",
            true,
        ],
        [
            "2: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever preferred_lft forever",
            "eth0/fe80::1/64",
            false,
        ],
        [
            "5: veth1@if4    inet 10.1.1.1/24 scope global veth1\\       valid_lft forever preferred_lft forever",
            "veth1/10.1.1.1/24",
            false,
        ],
    ])("%s is read", (line, key, deprecated) => {
        expect(read("address", { address: line })).toEqual({ [key]: { deprecated } });
    });

    test("what is no address line is none", () => {
        expect(read("address", { address: 'Command "addr" is unknown\n\n7: x\ninet 10.0.0.1/8\n' })).toEqual({});
    });

    test("keys of host addresses carry the whole prefix, and are taken apart again", () => {
        expect(addressKey("eth0", "192.0.2.100")).toBe("eth0/192.0.2.100/32");
        expect(parseAddressKey(addressKey("eth0.1", "2001:db8::1"))).toEqual({
            device: "eth0.1",
            address: "2001:db8::1/128",
            family: "ipv6",
        });
    });

    test.each<[string, boolean, boolean | undefined, string[]]>([
        ["lo/192.0.2.100/32", false, undefined, ["ip addr add 192.0.2.100/32 dev lo"]],
        ["eth0/192.0.2.100/32", false, undefined, ["ip addr add 192.0.2.100/32 dev eth0", "script eth0 192.0.2.100"]],
        ["lvs-ipip-1/192.0.2.100/32", false, undefined, ["ip addr add 192.0.2.100/32 dev lvs-ipip-1"]],
        ["lo/2001:db8::1/128", true, undefined, ["ip addr add 2001:db8::1/128 dev lo nodad preferred_lft 0"]],
        ["lo/2001:db8::1/128", true, false, ["ip addr change 2001:db8::1/128 dev lo nodad preferred_lft 0"]],
        ["lo/2001:db8::1/128", false, true, ["ip addr change 2001:db8::1/128 dev lo nodad preferred_lft forever"]],
    ])("%s is set, and told to the segment only where there is one", (key, deprecated, had, words) => {
        expect(set("address", key, { deprecated }, had === undefined ? undefined : { deprecated: had })).toEqual(words);
        expect(unset("address", key)).toEqual([words[0]!.replace(/ (add|change) /, " del ").replace(/ nodad.*/, "")]);
    });

    test("an address that another host answers for is neither announced nor asked for", () => {
        const quiet = { deprecated: false, silent: true } as const;
        expect(set("address", "eth1/192.0.2.100/32", quiet)).toEqual(["ip addr add 192.0.2.100/32 dev eth1"]);
        expect(said(kindOf("address").boot!("eth1/192.0.2.100/32", quiet))).toHaveLength(1);
        expect(kindOf("address").satisfied!(quiet, { deprecated: false }, "")).toBe(true);
    });

    test("at boot an address of a segment is asked for first, one of a device of its own is not", () => {
        const boot = (key: string) => said(kindOf("address").boot!(key, { deprecated: false }));
        expect(boot("eth0/192.0.2.100/32")).toEqual(["script eth0 192.0.2.100 192.0.2.100/32"]);
        expect(boot("eth0/2001:db8::1/128")).toEqual(["script eth0 2001:db8::1 2001:db8::1/128 preferred_lft forever"]);
        expect(boot("lo/192.0.2.100/32")).toEqual(["ip addr add 192.0.2.100/32 dev lo"]);
    });
});

describe("tunnel devices", () => {
    const head = (name: string, flags = "NOARP,UP,LOWER_UP") =>
        `5: ${name}@NONE: <${flags}> mtu 1480 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000`;
    test.each<[string, string, Value]>([
        [
            `${head("lvs-ipip-1")}\\    link/ipip 10.0.0.1 brd 0.0.0.0 promiscuity 0 minmtu 0 maxmtu 0 \\    ipip ipip remote any local 10.0.0.1 ttl inherit nopmtudisc addrgenmode eui64 `,
            "lvs-ipip-1",
            { type: "ipip", local: "10.0.0.1", up: true },
        ],
        [
            `${head("lvs-gre-1")}\\    link/gre 10.0.0.1 brd 0.0.0.0 promiscuity 0 \\    gre remote any local 10.0.0.1 ttl inherit icsum ocsum addrgenmode eui64 `,
            "lvs-gre-1",
            { type: "gre", local: "10.0.0.1", csum: true, up: true },
        ],
        [
            `${head("lvs-gre-2", "NOARP")}\\    link/gre 10.0.0.1 brd 0.0.0.0 promiscuity 0 \\    gre remote any local 10.0.0.1 ttl inherit nopmtudisc noencap-csum `,
            "lvs-gre-2",
            { type: "gre", local: "10.0.0.1", up: false },
        ],
        [
            `${head("lvs-ip6tnl-1")}\\    link/tunnel6 fd00::1 brd :: permaddr 1:: promiscuity 0 \\    ip6tnl any remote any local fd00::1 encaplimit 0 hoplimit 64 `,
            "lvs-ip6tnl-1",
            { type: "ip6tnl", local: "fd00::1", up: true },
        ],
        [
            `${head("lvs-ip6gre-1", "NOARP,LOWER_UP")}\\    link/gre6 fd00::1 brd :: promiscuity 0 \\    ip6gre remote :: local fd00::1 hoplimit 64 `,
            "lvs-ip6gre-1",
            { type: "ip6gre", local: "fd00::1", up: false },
        ],
        [
            `${head("lvs-sit-1")}\\    link/sit 10.0.0.1 brd 0.0.0.0 promiscuity 0 \\    sit ip6ip remote any local 10.0.0.1 ttl 64 `,
            "lvs-sit-1",
            { type: "sit", local: "10.0.0.1", up: true },
        ],
    ])("%s is read", (line, name, value) => {
        expect(read("link", { link: line })).toEqual({ [name]: value });
    });

    test("a device of another kind with our prefix is none of these", () => {
        expect(
            read("link", {
                link: `${head("lvs-x")}\\    link/ether 00:00:00:00:00:01 brd ff \\    macvlan mode bridge numtxqueues 1`,
            }),
        ).toEqual({});
    });

    test.each<[string, Value, Value | undefined, string[]]>([
        [
            "lvs-ipip-1",
            { type: "ipip", local: "10.0.0.1" },
            undefined,
            ["ip link add lvs-ipip-1 type ipip local 10.0.0.1 remote any", "ip link set lvs-ipip-1 up"],
        ],
        [
            "lvs-ip6tnl-1",
            { type: "ip6tnl", local: "fd00::1" },
            undefined,
            ["ip link add lvs-ip6tnl-1 type ip6tnl mode any local fd00::1 remote ::", "ip link set lvs-ip6tnl-1 up"],
        ],
        [
            "lvs-gre-1",
            { type: "gre", local: "10.0.0.1", csum: true },
            { type: "gre", local: "10.0.0.1", up: true },
            ["ip link change lvs-gre-1 type gre local 10.0.0.1 remote any csum", "ip link set lvs-gre-1 up"],
        ],
        [
            "lvs-gre-1",
            { type: "gre", local: "10.0.0.1" },
            undefined,
            ["ip link add lvs-gre-1 type gre local 10.0.0.1 remote any nocsum", "ip link set lvs-gre-1 up"],
        ],
    ])("%s is set as %j", (key, want, have, words) => {
        // A new device gets what sysctl.d says of every interface from udev, which is waited for.
        const settled = have === undefined ? ["script"] : [];
        expect(set("link", key, want, have).map((line) => line.trim())).toEqual([...words, ...settled]);
        expect(unset("link", key)).toEqual([`ip link del ${key}`]);
    });

    test("at boot a device that is there is not added, but brought up", () => {
        const [add, up] = said(kindOf("link").boot!("lvs-ipip-1", { type: "ipip", local: "10.0.0.1" }));
        expect(add).toBe("script lvs-ipip-1 ip link add lvs-ipip-1 type ipip local 10.0.0.1 remote any");
        expect(up).toBe("ip link set lvs-ipip-1 up");
    });

    test("a device that is down, or that differs, is not what is wanted", () => {
        const same = (have: Value) =>
            kindOf("link").satisfied!({ type: "gre", local: "10.0.0.1", csum: true }, have, "");
        expect(same({ type: "gre", local: "10.0.0.1", csum: true, up: true })).toBe(true);
        expect(same({ type: "gre", local: "10.0.0.1", csum: true, up: false })).toBe(false);
        expect(same({ type: "gre", local: "10.0.0.1", up: true })).toBe(false);
        expect(same({ type: "gre", local: "10.0.0.2", csum: true, up: true })).toBe(false);
        expect(same({ type: "gre", local: "10.0.0.1", remote: "10.9.9.9", csum: true, up: true })).toBe(false);
    });

    test("a tunnel that takes packets of one host alone is another", () => {
        const link = (remote: string) =>
            `${head("lvs-ipip-1")}\\    link/ipip 10.0.0.1 brd 0.0.0.0 \\    ipip any remote ${remote} local 10.0.0.1 ttl inherit `;
        const found = (remote: string) => read("link", { link: link(remote) })["lvs-ipip-1"]!;
        expect(found("10.9.9.9")).toEqual({ ...(found("any") as object), remote: "10.9.9.9" });
        const done = (type: string, local: string) =>
            set("link", "lvs-1", { type, local }, { type, local, remote: "x", up: true }).map((line) => line.trim());
        expect(done("ipip", "10.0.0.1")).toEqual([
            "ip link del lvs-1",
            "ip link add lvs-1 type ipip local 10.0.0.1 remote any",
            "ip link set lvs-1 up",
            "script",
        ]);
        expect(done("ip6tnl", "fd00::1")[0]).toBe("ip link change lvs-1 type ip6tnl mode any local fd00::1 remote ::");
    });

    test("a dummy device is read, and made only where its module has not made it", () => {
        const link = `${head("dummy0", "BROADCAST,NOARP")}\\    link/ether 00:00:00:00:00:01 brd ff promiscuity 0 minmtu 0 \\    dummy numtxqueues 1 `;
        expect(read("link", { link })).toEqual({ dummy0: { type: "dummy", up: false } });
        expect(set("link", "lvs-vip", { type: "dummy" })).toEqual([
            "script lvs-vip ip link add lvs-vip type dummy",
            "ip link set lvs-vip up",
            "script ",
        ]);
        expect(unset("link", "lvs-vip")).toEqual(["ip link del lvs-vip"]);
    });

    test("a dummy device that the host had is not ours, and goes back down where it was down", () => {
        expect(kindOf("link").ours!("dummy0")).toBe(false);
        expect(kindOf("link").ours!("lvs-vip")).toBe(true);
        const found = { type: "dummy", up: false };
        const same = (have: Value) => kindOf("link").satisfied!({ type: "dummy" }, have, "dummy0");
        expect([same(found), same({ type: "dummy", up: true })]).toEqual([false, true]);
        expect(kindOf("link").satisfied!(found, { type: "dummy", up: true }, "dummy0")).toBe(false);
        expect(set("link", "dummy0", found, { type: "dummy", up: true }).at(-1)).toBe("ip link set dummy0 down");
    });

    test("GUE ports of both families are told apart", () => {
        const fou = "port 6080 gue\nport 5555 ipproto 4\nport 6081 gue local fd00::1 -6\nport 7000 gue -6\n";
        expect(read("fou", { fou })).toEqual({ "ipv4/6080": "gue", "ipv6/6081": "gue", "ipv6/7000": "gue" });
        expect([set("fou", "ipv4/6080", "gue"), unset("fou", "ipv6/6080")]).toEqual([
            ["ip fou add port 6080 gue"],
            ["ip -6 fou del port 6080"],
        ]);
    });
});

test("a real server's own route is read by our protocol's number, and set and removed by its family", () => {
    const sections = {
        "route.hops":
            "192.0.2.21 via 192.0.2.21 dev eth0 onlink\n192.0.2.0/24 via 192.0.2.1 dev eth0\n2001:db8::21 via 2001:db8::21 dev eth0 metric 1024 onlink pref medium\n",
    };
    expect(read("hop", sections)).toEqual({ "192.0.2.21": true, "2001:db8::21": true });
    expect(set("hop", "2001:db8::21", true)).toEqual(["script 2001:db8::21 -6"]);
    expect(unset("hop", "192.0.2.21")).toEqual(["ip -4 route del 192.0.2.21 via 192.0.2.21 proto 147"]);
    expect(said(kindOf("hop").boot!("192.0.2.21", true))).toEqual([]);
});

describe("default routes", () => {
    const v4 = "ipv4/default";
    const v6 = "ipv6/default";
    const ours = defaultRoute("10.0.0.1").value;

    test.each<[string, Record<string, string>, Record<string, string>]>([
        [
            "IPv4's best metric is the one that is not printed, and others are not read",
            { "route.default": "default via 10.0.0.9 dev eth0 proto dhcp src 10.0.0.21 metric 100 \n" },
            {},
        ],
        [
            "protocol, source and onlink are kept, what is the moment's is not",
            {
                "route.default":
                    "default via 10.0.0.9 dev eth0 proto static src 10.0.0.21 onlink linkdown \ndefault dev ppp0 metric 50\n",
            },
            { [v4]: "default via 10.0.0.9 dev eth0 proto static src 10.0.0.21 onlink" },
        ],
        [
            "several next hops are one route",
            {
                "route.default":
                    "default proto static \\\tnexthop via 10.0.0.8 dev eth0 weight 1 \\\tnexthop via 10.0.0.9 dev eth0 weight 2 \n",
            },
            {
                [v4]: "default proto static nexthop via 10.0.0.8 dev eth0 weight 1 nexthop via 10.0.0.9 dev eth0 weight 2",
            },
        ],
        ["a route that refuses is one", { "route.default": "unreachable default \n" }, { [v4]: "unreachable default" }],
        ["one of a type of service is another", { "route.default": "default tos 0x10 via 10.0.0.9 dev eth0\n" }, {}],
        [
            "a router advertisement's is not IPv6's best, which has metric 1; lifetimes are left out",
            {
                "route6.default":
                    "default via fe80::1 dev eth0 proto ra metric 1024 expires 1795sec pref medium\ndefault via fd00::9 dev eth0 proto ra metric 1 expires 30sec pref medium\n",
            },
            { [v6]: "default via fd00::9 dev eth0 proto ra metric 1 pref medium" },
        ],
    ])("%s", (_, sections, found) => {
        expect(read("route", sections)).toEqual(found);
    });

    test("ours replaces what is there in one move, is removed by its own words, and what was found comes back whole", () => {
        expect(set("route", v4, ours)).toEqual(["ip -4 route replace default via 10.0.0.1 proto static"]);
        expect(set("route", v6, defaultRoute("fd00::1").value)).toEqual([
            "ip -6 route replace default via fd00::1 proto static metric 1",
        ]);
        expect(unset("route", v4, "default via 10.0.0.1 dev eth0 proto static")).toEqual([
            "ip -4 route del default via 10.0.0.1 dev eth0 proto static",
        ]);
        const found = "default proto static nexthop via 10.0.0.8 dev eth0 weight 1";
        expect(set("route", v4, found, ours)).toEqual([`ip -4 route replace ${found}`]);
    });

    test("ours is there whichever device the host found to it, another router's is not, and what was found is compared whole", () => {
        const same = (want: string, have: string) => kindOf("route").satisfied!(want, have, v4);
        expect(same(ours, "default via 10.0.0.1 dev eth0 proto dhcp")).toBe(true);
        expect(same(ours, "default via 10.0.0.10 dev eth0 proto static")).toBe(false);
        expect(same(ours, "default proto static nexthop via 10.0.0.1 dev eth0 weight 1")).toBe(false);
        expect(same("default via 10.0.0.1 dev eth0 src 10.0.0.2", "default via 10.0.0.1 dev eth0")).toBe(false);
        expect(same("blackhole default", "unreachable default")).toBe(false);
    });
});

describe("modules", () => {
    test("a module is there when it is loaded or built in", () => {
        expect(read("module", { modules: "ip_vs\nip_vs_wlc\n", builtin: "ipip\n" })).toEqual({
            ip_vs: true,
            ip_vs_wlc: true,
            ipip: true,
        });
        expect(set("module", "ip_vs", true)).toEqual(["modprobe ip_vs"]);
    });

    test("a parameter is compared without an array's unused places, however long it is", () => {
        const parameters = "ip_vs.conn_tab_bits 12\nip_vs_ftp.ports 21,0,0,0,0,0,0,0\n";
        expect(read("parameter", { parameters })).toEqual({ "ip_vs.conn_tab_bits": "12", "ip_vs_ftp.ports": "21" });
        expect(kindOf("parameter").satisfied!("21,2121", "21,2121,0,0", "")).toBe(true);
        expect(kindOf("parameter").satisfied!("2", "20", "")).toBe(false);
        expect(set("parameter", "ip_vs_ftp.ports", "21")).toEqual(["script ip_vs_ftp ports=21"]);
    });
});

describe("nftables", () => {
    const nft = `table inet pulumi_lvs {
	map marks4 {
		type ipv4_addr . inet_proto . inet_service : mark
		elements = { 192.0.2.100 . 6 . 80 : 0x00000001,
			     192.0.2.100 . 17 . 53 : 0x00000002, 192.0.2.101 . sctp . 9 : 0xffffffff }
	}

	map marks6 {
		type ipv6_addr . inet_proto . inet_service : mark
		elements = { 2001:db8::100 . 6 . 443 : 0x00000003 }
	}

	map anyport4 {
		type ipv4_addr . inet_proto : mark
		elements = { 192.0.2.100 . 132 : 0x00000004 }
	}

	map anyport6 {
		type ipv6_addr . inet_proto : mark
	}

	chain prerouting_mark {
		type filter hook prerouting priority -150; policy accept;
		meta l4proto { 6, 17, 132 } meta mark set ip daddr . meta l4proto map @anyport4
		meta l4proto { 6, 17, 132 } meta mark set ip6 daddr . meta l4proto map @anyport6
		meta l4proto { 6, 17, 132 } meta mark set ip daddr . meta l4proto . th dport map @marks4
		meta l4proto { 6, 17, 132 } meta mark set ip6 daddr . meta l4proto . th dport map @marks6
	}

	chain prerouting_mark_ranges {
		type filter hook prerouting priority -149; policy accept;
		ip daddr 192.0.2.100 tcp dport 10000-20000 meta mark set 0x00000005 comment "ipv4/tcp/192.0.2.100/10000-20000"
		ip6 daddr 2001:db8::100 udp dport 1-2 meta mark set 0xffffffff comment "ipv6/udp/2001:db8::100/1-2"
	}

	chain postrouting_masquerade {
		type nat hook postrouting priority 100; policy accept;
		ip saddr 10.0.0.0/8 masquerade comment "10.0.0.0/8 0.0.0.0/0"
		ip saddr 10.1.1.1 ip daddr 192.0.2.0/24 masquerade comment "10.1.1.1/32 192.0.2.0/24"
		ip6 saddr fd00::/8 masquerade comment "fd00::/8 ::/0"
		ip saddr 10.2.0.0/16 snat ip to 192.0.2.9 comment "10.2.0.0/16 0.0.0.0/0"
		ip6 saddr fd01::/16 snat ip6 to 2001:db8::9 comment "fd01::/16 ::/0"
	}
}
`;

    test("a listing is read: elements over several lines, protocols by number or name, every mark", () => {
        expect(read("mark", { nft })).toEqual({
            "ipv4/tcp/192.0.2.100/80": 1,
            "ipv4/udp/192.0.2.100/53": 2,
            "ipv4/sctp/192.0.2.101/9": 2 ** 32 - 1,
            "ipv6/tcp/2001:db8::100/443": 3,
            "ipv4/sctp/192.0.2.100/0": 4,
            "ipv4/tcp/192.0.2.100/10000-20000": 5,
            "ipv6/udp/2001:db8::100/1-2": 2 ** 32 - 1,
        });
        expect(read("masquerade", { nft })).toEqual({
            "10.0.0.0/8 0.0.0.0/0": true,
            "10.1.1.1/32 192.0.2.0/24": true,
            "fd00::/8 ::/0": true,
            "10.2.0.0/16 0.0.0.0/0": "192.0.2.9",
            "fd01::/16 ::/0": "2001:db8::9",
        });
        expect(read("table", { nft })).toEqual({ [TABLE]: "1" });
    });

    test("a table without its rules is one that must be repaired", () => {
        const less = nft.replace(/^.*@marks6\n/m, "");
        expect(read("table", { nft: less })).toEqual({ [TABLE]: "3 of 4 rules" });
    });

    test("so is one whose rules or policies are others", () => {
        const table = (from: string | RegExp, to: string) => read("table", { nft: nft.replace(from, to) })[TABLE];
        expect(table(/(?=meta .* @marks4$)/m, "ip saddr 10.0.0.1 ")).toBe("3 of 4 rules, 1 other rules");
        expect(table(/(?=\tmeta .* @marks4$)/m, "\tip saddr 10.0.0.1 drop\n\t")).toBe("1 other rules");
        expect(table("priority -150; policy accept", "priority -150; policy drop")).toBe(
            "another policy of prerouting_mark",
        );
        const policy = table("priority 100; policy accept", "priority 100; policy drop");
        expect(policy).toBe("another policy of postrouting_masquerade");
        expect(set("table", TABLE, "1", policy!)[0]).toMatch(
            /; add chain inet pulumi_lvs postrouting_masquerade \{ type nat hook postrouting priority srcnat; policy accept; \}$/,
        );
        expect(set("table", TABLE, "1", "3 of 4 rules")).toEqual(set("table", TABLE, "1"));
    });

    test("the frame flushes only its own chain of our own table, and makes nothing twice", () => {
        const [frame] = set("table", TABLE, "1");
        expect(frame).not.toMatch(/flush (ruleset|table)/);
        for (const line of frame!
            .slice("nft ".length)
            .split("; ")
            .filter((each) => /^(add|flush|delete)/.test(each))) {
            expect(line).toContain("inet pulumi_lvs");
        }
        expect(unset("table", TABLE)).toEqual(["nft delete table inet pulumi_lvs"]);
    });

    test.each<[string, number, number | undefined, string]>([
        [
            trafficKey("tcp", "192.0.2.100", 80),
            1,
            undefined,
            "nft add element inet pulumi_lvs marks4 { 192.0.2.100 . tcp . 80 : 1 }",
        ],
        [
            trafficKey("udp", "2001:db8::1", 0),
            7,
            undefined,
            "nft add element inet pulumi_lvs anyport6 { 2001:db8::1 . udp : 7 }",
        ],
        [
            trafficKey("tcp", "192.0.2.100", 80),
            2,
            1,
            "nft delete element inet pulumi_lvs marks4 { 192.0.2.100 . tcp . 80 }; add element inet pulumi_lvs marks4 { 192.0.2.100 . tcp . 80 : 2 }",
        ],
    ])("the mark of %s is set to %d", (key, want, have, words) => {
        expect(set("mark", key, want, have)).toEqual([words]);
    });

    /** What sets a rule: its chain, if it is not there, and the beginning of the rule. */
    const chain = (name: string, hook: string) =>
        `nft add chain inet pulumi_lvs ${name} { type ${hook}; policy accept; }; add rule inet pulumi_lvs ${name}`;

    test("a range of ports is a rule of its own, behind what marks every port", () => {
        const key = trafficKey("tcp", "192.0.2.100", "10000-20000");
        const add = `${chain("prerouting_mark_ranges", "filter hook prerouting priority mangle + 1")} ip daddr 192.0.2.100 tcp dport 10000-20000 meta mark set 0x00000005 comment "${key}"`;
        expect(set("mark", key, 5)).toEqual([add]);
        expect(set("mark", key, 5, 4)).toEqual([`script prerouting_mark_ranges ${key}`, add]);
        expect(unset("mark", key, 5)).toEqual([`script prerouting_mark_ranges ${key}`]);
        const other = nft.replace("dport 10000-20000", "dport 10000-20001");
        expect(read("mark", { nft: other })[key]).toEqual({
            rule: "ip daddr 192.0.2.100 tcp dport 10000-20001 meta mark set 0x00000005",
        });
    });

    test.each([
        ["ip saddr 10.0.0.0/8 masquerade", "ip saddr 203.0.113.9 masquerade"],
        ["ip saddr 10.0.0.0/8 masquerade", "ip saddr 10.0.0.0/8 masquerade random"],
        ["ip saddr 10.0.0.0/8 masquerade", "ip saddr 10.0.0.0/8 drop"],
        ["ip saddr 10.0.0.0/8 masquerade", "ip saddr 10.0.0.0/8 ip daddr 10.9.9.9 masquerade"],
    ])("masquerading that says another thing than its name is another rule: not %s, but %s", (from, to) => {
        const key = "10.0.0.0/8 0.0.0.0/0";
        const have = read("masquerade", { nft: nft.replace(from, to) })[key]!;
        expect(have).toEqual({ rule: to });
        expect(set("masquerade", key, true, have)).toEqual([
            `script postrouting_masquerade ${key}`,
            ...set("masquerade", key, true),
        ]);
    });

    test("networks are compared as networks, however they are written", () => {
        const rule = (text: string, key: string) =>
            read("masquerade", { nft: nft.replace(/\t\tip saddr 10\.0.*\n/, `\t\t${text} comment "${key}"\n`) })[key];
        for (const [text, key] of [
            ["ip saddr 10.0.0.0/8 masquerade", "10.1.2.3/8 0.0.0.0/0"],
            ["ip saddr 0.0.0.0/0 masquerade", "0.0.0.0/0 0.0.0.0/0"],
            ["ip6 saddr ::/0 ip6 daddr ::192.0.2.1 masquerade", "::/0 ::c000:201/128"],
            ["ip6 saddr 2001:db8:0:0:1::/127 masquerade", "2001:db8:0:0:1::1/127 ::/0"],
        ] as const) {
            expect([key, rule(text, key)]).toEqual([key, true]);
        }
    });

    test("masquerading names its rule by its networks, and leaves out a destination that is everything", () => {
        expect(set("masquerade", "10.0.0.0/8 0.0.0.0/0", true)).toEqual([
            `${chain("postrouting_masquerade", "nat hook postrouting priority srcnat")} ip saddr 10.0.0.0/8 masquerade comment "10.0.0.0/8 0.0.0.0/0"`,
        ]);
        expect(set("masquerade", "10.0.0.0/8 0.0.0.0/0", "192.0.2.9")).toEqual([
            `${chain("postrouting_masquerade", "nat hook postrouting priority srcnat")} ip saddr 10.0.0.0/8 snat ip to 192.0.2.9 comment "10.0.0.0/8 0.0.0.0/0"`,
        ]);
        expect(set("masquerade", "fd00::/8 2001:db8::/32", true)).toEqual([
            `${chain("postrouting_masquerade", "nat hook postrouting priority srcnat")} ip6 saddr fd00::/8 ip6 daddr 2001:db8::/32 masquerade comment "fd00::/8 2001:db8::/32"`,
        ]);
    });
});

describe("rules of a real server's own side", () => {
    const nft = `table inet pulumi_lvs {
	chain postrouting_mss {
		type filter hook postrouting priority 110; policy accept;
		ip saddr 192.0.2.100 tcp sport 80 tcp flags 0x2 / 0x2,0x4 tcp option maxseg size set 1440 comment "ipv4/tcp/192.0.2.100/80"
		ip6 saddr 2001:db8::100 tcp flags 0x2 / 0x2,0x4 tcp option maxseg size set 1400 comment "ipv6/tcp/2001:db8::100/0"
	}

	chain prerouting_redirect {
		type nat hook prerouting priority -100; policy accept;
		ip daddr 192.0.2.100 tcp dport 80 dnat ip to 192.0.2.21 comment "ipv4/tcp/192.0.2.100/80"
		ip6 daddr 2001:db8::100 meta l4proto 17 dnat ip6 to 2001:db8::21 comment "ipv6/udp/2001:db8::100/0"
	}
}
`;

    test("segment sizes and redirections are read with their values, each out of its own chain", () => {
        expect(read("mss", { nft })).toEqual({ "ipv4/tcp/192.0.2.100/80": 1440, "ipv6/tcp/2001:db8::100/0": 1400 });
        expect(read("redirect", { nft })).toEqual({
            "ipv4/tcp/192.0.2.100/80": "192.0.2.21",
            "ipv6/udp/2001:db8::100/0": "2001:db8::21",
        });
        expect(read("masquerade", { nft })).toEqual({});
    });

    test.each([
        ["mss", "ipv4/tcp/192.0.2.100/80", "ip saddr 192.0.2.100 tcp sport 80", "ip saddr 192.0.2.100 tcp sport 81"],
        ["mss", "ipv4/tcp/192.0.2.100/80", "ip saddr 192.0.2.100", "ip saddr 192.0.2.101"],
        ["mss", "ipv4/tcp/192.0.2.100/80", "0x2 / 0x2,0x4", "0x2 / 0x2,0x10"],
        ["mss", "ipv6/tcp/2001:db8::100/0", "2001:db8::100 tcp", "2001:db8::100 tcp dport 80 tcp"],
        ["redirect", "ipv4/tcp/192.0.2.100/80", "tcp dport 80", "udp dport 80"],
        ["redirect", "ipv4/tcp/192.0.2.100/80", "ip daddr 192.0.2.100", "ip saddr 192.0.2.100"],
        ["redirect", "ipv6/udp/2001:db8::100/0", "meta l4proto 17", "meta l4proto 6"],
        ["redirect", "ipv6/udp/2001:db8::100/0", "dnat ip6", "counter packets 7 bytes 90 dnat ip6"],
    ])(
        "a %s by the name of %s that says %s otherwise is another: it differs, and is replaced",
        (kind, key, from, to) => {
            const want = read(kind, { nft })[key]!;
            const line = nft.split("\n").find((each) => each.endsWith(`comment "${key}"`) && each.includes(from))!;
            const other = line.replace(from, to);
            const have = read(kind, { nft: nft.replace(line, other) })[key]!;
            const text = other.trim().replace(/ packets 7 bytes 90| comment .*/g, "");
            expect(have).toEqual({ rule: text });
            expect(set(kind, key, want, have)).toEqual([...unset(kind, key, have), ...set(kind, key, want)]);
            // An undo puts back what was found.
            expect(set(kind, key, have, want)[1]).toContain(` ${text} comment "${key}"`);
            // Beside ours, too.
            for (const both of [`${line}\n${other}`, `${other}\n${line}`]) {
                expect(read(kind, { nft: nft.replace(line, both) })[key]).toEqual({ rule: text });
            }
        },
    );

    test("what versions of nft print of one rule is one value", () => {
        for (const flags of [
            "0x2 / 0x2,0x4",
            "& (0x2 | 0x4) == 0x2",
            "& (syn | rst) == syn",
            "syn / syn,rst",
            "& 0x6 == 0x2",
        ]) {
            const key = "ipv4/tcp/192.0.2.100/80";
            expect([flags, read("mss", { nft: nft.replaceAll("0x2 / 0x2,0x4", flags) })[key]]).toEqual([flags, 1440]);
        }
        const others = nft.replace("dnat ip to", "dnat to").replace("l4proto 17", "l4proto udp");
        expect(read("redirect", { nft: others })).toEqual(read("redirect", { nft }));
        const mapped = nft.replaceAll("2001:db8::21", "::192.0.2.21");
        expect(read("redirect", { nft: mapped })["ipv6/udp/2001:db8::100/0"]).toBe("::c000:215");
    });

    test("a segment's size that changes replaces its rule, and at boot it is not added a second time", () => {
        const key = "ipv6/tcp/2001:db8::100/80";
        const add = `nft add chain inet pulumi_lvs postrouting_mss { type filter hook postrouting priority srcnat + 10; policy accept; }; add rule inet pulumi_lvs postrouting_mss ip6 saddr 2001:db8::100 tcp sport 80 tcp flags & (syn|rst) == syn tcp option maxseg size set 1400 comment "${key}"`;
        expect(set("mss", key, 1400)).toEqual([add]);
        expect(set("mss", key, 1400, 1440)).toEqual([`script postrouting_mss ${key}`, add]);
        expect(said(kindOf("mss").boot!(key, 1400))).toEqual([`script postrouting_mss ${key} ${add}`]);
        expect(unset("mss", key, 1400)).toEqual([`script postrouting_mss ${key}`]);
    });

    test("a redirection of every port leaves the port out, and goes to the address alone", () => {
        const words = set("redirect", "ipv4/udp/192.0.2.100/0", "192.0.2.21")[0];
        expect(words).toContain(" ip daddr 192.0.2.100 meta l4proto udp dnat ip to 192.0.2.21 comment ");
        const one = set("redirect", "ipv4/udp/192.0.2.100/53", "192.0.2.21")[0];
        expect(one).toContain(" ip daddr 192.0.2.100 udp dport 53 dnat ip to 192.0.2.21 comment ");
    });
});

describe("IPVS", () => {
    const value = { scheduler: "rr", flags: [], persistence: null };
    const edited = (key: string, have: Value) => set("service", key, value, have);

    test("another scheduler is set behind a filter that holds refusals of that VIP back, other edits go alone", () => {
        expect(edited("tcp/192.0.2.100:80", { ...value, persistence: { timeout: 60 } })).toEqual([
            "ipvsadm -E -t 192.0.2.100:80 -s rr",
        ]);
        for (const [key, address, words] of [
            ["tcp/192.0.2.100:80", "192.0.2.100", "-t 192.0.2.100:80"],
            ["udp/[2001:db8::1]:53", "2001:db8::1", "-u [2001:db8::1]:53"],
        ] as const)
            expect(edited(key, { ...value, scheduler: "wlc" })).toEqual([`script ${address} -E ${words} -s rr`]);
        expect(edited("fwm/7", { ...value, scheduler: "wlc" })).toEqual(["ipvsadm -E -f 7 -s rr"]);
    });

    const table = {
        "ipvs.save": "-A -t 192.0.2.100:80 -s wlc\n-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 3\n",
        "ipvs.thresholds":
            "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n  -> RemoteAddress:Port\nTCP  192.0.2.100:80 wlc\n  -> 192.0.2.21:80                100        50         7          9         \n",
        "ipvs.timeouts": "Timeout (tcp tcpfin udp): 900 120 300\n",
        "ipvs.daemons": "master sync daemon (mcast=eth0, syncid=1, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n",
    };

    test("services, real servers, timeouts and daemons are read, counters left out", () => {
        expect(read("service", table)).toEqual({
            "tcp/192.0.2.100:80": { scheduler: "wlc", flags: [], onePacket: false, persistence: null },
        });
        expect(read("destination", table)).toEqual({
            "tcp/192.0.2.100:80/192.0.2.21:80": {
                forwarding: "dr",
                weight: 3,
                upperThreshold: 100,
                lowerThreshold: 50,
                tunnel: null,
            },
        });
        expect(read("timeout", table)).toEqual({ tcp: 900, tcpfin: 120, udp: 300 });
        expect(Object.keys(read("sync", table))).toEqual(["master"]);
    });

    test.each(["ipvs.save", "ipvs.thresholds", "ipvs.timeouts", "ipvs.daemons"])(
        "a listing that failed (%s) is an error, not an empty one",
        (name) => {
            const kind = { "ipvs.timeouts": "timeout", "ipvs.daemons": "sync" }[name] ?? "service";
            expect(() => read(kind, { ...table, [name]: "ipvsadm failed\n" })).toThrow(/ipvsadm failed/);
        },
    );

    test("one timeout is set without touching the others", () => {
        expect(set("timeout", "tcpfin", 60, 120)).toEqual(["ipvsadm --set 0 60 0"]);
    });

    test("an edit carries every attribute, and the key says which object", () => {
        const value = {
            forwarding: "tun",
            weight: 0,
            upperThreshold: 9,
            lowerThreshold: 3,
            tunnel: { type: "gue", port: 6080, checksum: "csum" },
        };
        expect(set("destination", "fwm6/7/[2001:db8::1]:0", value, value)).toEqual([
            "ipvsadm -e -f 7 -6 -r [2001:db8::1]:0 -i -w 0 -x 9 -y 3 --tun-type gue --tun-port 6080 --tun-csum",
        ]);
        expect(unset("service", "fwm6/7")).toEqual(["ipvsadm -D -f 7 -6"]);
    });

    test("a daemon is started anew where it differs, and a length that the kernel chose is no difference", () => {
        const want = {
            role: "master",
            interface: "eth0",
            syncid: 1,
            maxlen: 0,
            group: "224.0.0.81",
            port: 8848,
            ttl: 1,
        };
        const have = { ...want, maxlen: 1472 };
        expect(kindOf("sync").satisfied!(want, have, "master")).toBe(true);
        expect(kindOf("sync").satisfied!({ ...want, syncid: 2 }, have, "master")).toBe(false);
        expect(set("sync", "master", { ...want, syncid: 2 }, have).map((line) => line.split(" ").slice(1, 3))).toEqual([
            ["--stop-daemon", "master"],
            ["--start-daemon", "master"],
        ]);
    });
});

describe("the boot unit", () => {
    test("comes after the network and the packet filter, and goes along with whatever of them is restarted or reloaded", () => {
        const listed = (unit: string, name: string) =>
            [
                ...bootFiles[`/etc/systemd/system/${unit}.service`]!.text.matchAll(new RegExp(`^${name}=(.*)$`, "gm")),
            ].flatMap(([, units]) => units!.split(" "));
        for (const each of [
            ...["networking", "systemd-networkd", "NetworkManager", "nftables", "firewalld", "ufw"].map(
                (name) => `${name}.service`,
            ),
            ...["netfilter-persistent", "iptables", "ip6tables"].map((name) => `${name}.service`),
        ]) {
            for (const [unit, name] of [
                ["pulumi-lvs", "After"],
                ["pulumi-lvs", "ReloadPropagatedFrom"],
                ["pulumi-lvs-again", "After"],
                ["pulumi-lvs-again", "WantedBy"],
            ] as const) {
                expect([each, unit, name, listed(unit, name).includes(each)]).toEqual([each, unit, name, true]);
            }
        }
        // It would stop with what firewalld conflicts with, and keep firewalld from its restart.
        expect(listed("pulumi-lvs", "PartOf")).toEqual([]);
        expect(listed("pulumi-lvs", "Also")).toEqual(["pulumi-lvs-again.service"]);
        expect(listed("pulumi-lvs-again", "Before")).toEqual(["pulumi-lvs.service"]);
        expect(listed("pulumi-lvs", "After")).toEqual(
            expect.arrayContaining(["network-online.target", "NetworkManager-wait-online.service"]),
        );
    });

    test("the checksum is cksum(1)'s", () => {
        expect(cksum("")).toBe("4294967295 0");
        expect(cksum("123456789")).toBe("930766865 9");
    });

    test("it is what we write exactly if both files are whole and it is enabled", () => {
        const lines = [...Object.entries(bootFiles).map(([path, { text }]) => `${cksum(text)} ${path}`), "enabled"];
        expect(readBoot(lines)).toBe(bootValue);
        for (const missing of lines) {
            expect(readBoot(lines.filter((line) => line !== missing))).not.toBe(bootValue);
        }
        expect(readBoot([])).toBeUndefined();
    });

    test("what speaks to NetworkManager may be missing where that is", () => {
        const lines = Object.entries(bootFiles)
            .filter(([, { optional }]) => optional !== true)
            .map(([path, { text }]) => `${cksum(text)} ${path}`);
        expect(lines).toHaveLength(5);
        const told = [...lines, "no /etc/NetworkManager/dispatcher.d", "enabled"];
        expect(readBoot(told)).toBe(bootValue);
        expect(readBoot(told.slice(1))).not.toBe(bootValue);
    });
});

describe("what a hostile host says", () => {
    const long = 1 << 20;
    /** Work grows with what was sent and not with its square: twice the text takes nowhere near four times as long. */
    const steps = (make: (length: number) => () => unknown) => {
        const timed = (length: number) => {
            const work = make(length);
            const start = process.cpuUsage().user;
            try {
                work();
            } catch {
                // Refused is as good as read.
            }
            return process.cpuUsage().user - start;
        };
        timed(1 << 10);
        return timed(long);
    };

    test.each<[string, string, (length: number) => Record<string, string>]>([
        ["address", "@", (length) => ({ address: `1: ${"@".repeat(length)}` })],
        ["address", "spaces", (length) => ({ address: `1: a${" ".repeat(length)}x` })],
        ["parameter", "zeros", (length) => ({ parameters: `ip_vs_ftp.ports ${",0".repeat(length / 2)}x` })],
        ["mark", "open maps", (length) => ({ nft: "\tmap marks4 {\n".repeat(length / 16) })],
        ["mark", "open elements", (length) => ({ nft: `\tmap marks4 {\n${"elements = {".repeat(length / 16)}\n\t}` })],
        ...["mss", "table"].map((kind): [string, string, (length: number) => Record<string, string>] => [
            kind,
            "TCP flags",
            (length) => ({
                nft: `table inet pulumi_lvs {\n\tchain ${{ mss: "postrouting_mss", table: "prerouting_mark" }[kind]} {\n\t\t${"x tcp flags & ( == 2 / ".repeat(length / 24)} comment "k"\n`,
            }),
        ]),
        ["masquerade", "open comments", (length) => ({ nft: ' masquerade comment "'.repeat(length / 16) })],
        [
            "mark",
            "comments of iptables",
            (length) => ({ iptables: `*mangle\n-A PULUMI-LVS-MARK ${'--comment "'.repeat(length / 11)}` }),
        ],
        [
            "mark",
            "targets of iptables",
            (length) => ({ iptables: `*mangle\n-A PULUMI-LVS-MARK${" -j MARK".repeat(length / 8)}` }),
        ],
        [
            "table",
            "chains of iptables",
            (length) => ({ iptables: `*mangle\n${":PULUMI-LVS-MARK - \n".repeat(length / 20)}` }),
        ],
        ["sysctl", "white space", (length) => ({ sysctl: `net/x:${" \t".repeat(length / 2)}x` })],
        ["link", "backslashes", (length) => ({ link: `1: x: <UP>${"\\ ".repeat(length / 2)}` })],
        ["fou", "ports", (length) => ({ fou: "port ".repeat(length / 8) })],
    ])("never keeps the reader of %s busy (%s)", (kind, _name, sections) => {
        // A second of CPU time for a megabyte: what grows with the square takes hours.
        expect(steps((length) => () => read(kind, sections(length)))).toBeLessThan(10_000_000);
    });

    test("names that every object has are names like any other", () => {
        const probe = probeOf({ sysctl: "net/__proto__/constructor:1\n", facts: "constructor=1\n" });
        expect([...kindOf("sysctl").read(probe).keys()]).toEqual(["net.__proto__.constructor"]);
        expect(fact(probe, "toString")).toBeUndefined();
    });
});
