import { parseInputs } from "../../../provider/inputs/parse";
import type { HostState } from "../../../provider/reconcile/state";
import { realServer } from "../../../provider/resources/realServer";
import { addresses, director, factsWith, server } from "../checks/hosts";

const lb = { name: "lb1", connection: "lb1", interface: "eth1" };
const web = { director: lb, protocol: "tcp", address: "192.0.2.100", port: 80 };
const web6 = { ...web, address: "2001:db8::100" };

/** What a real server wants of a host of its own, or of its director, without modules and boot unit. */
function wants(role: "realServer" | "director", inputs: object, view?: HostState): Record<string, unknown> {
    const all = { service: web, address: "192.0.2.21", connection: "web1", owner: "o/p/s#RealServer/web1", ...inputs };
    const { value, failures } = parseInputs(realServer.schema, all);
    expect(failures).toEqual([]);
    const part = realServer.parts(value).find((each) => each.role === role)!;
    const found = part.wants(view).filter(({ kind }) => kind !== "module" && kind !== "boot");
    return Object.fromEntries(found.map(({ kind, key, value: wanted }) => [`${kind} ${key}`, wanted]));
}

describe("a director with one arm is told not to send its real servers elsewhere", () => {
    const silent = {
        "sysctl net.ipv4.conf.all.send_redirects": "0",
        "sysctl net.ipv4.conf.eth1.send_redirects": "0",
    };
    const nat = { forwarding: "nat" };

    test("where real server and router are on one segment, and by nat alone", () => {
        expect(wants("director", nat, director())).toMatchObject(silent);
        expect(wants("director", { forwarding: "dr" }, director())).not.toHaveProperty([Object.keys(silent)[0]!]);
    });

    const elsewhere = { ...nat, service: { ...web, address: "10.0.2.100" } };
    const twoArms = director({
        route: "default via 10.0.2.2 dev eth0\n10.0.2.0/24 dev eth0 scope link\n192.0.2.0/24 dev eth1 scope link\n",
    });

    test("also where the VIP alone is, whose clients may be in the segment", () => {
        expect(wants("director", nat, twoArms)).toMatchObject(silent);
        expect(wants("director", elsewhere, director())).toMatchObject(silent);
        const marks = [{ protocol: "tcp", address: "192.0.2.100", port: 80 }];
        const marked = { ...nat, port: 80, service: { director: lb, fwmark: 1, marks } };
        expect(wants("director", marked, twoArms)).toMatchObject(silent);
    });

    test("not where both are on another one, nor where the real server is behind it, nor for the director itself", () => {
        for (const [view, inputs] of [
            [twoArms, elsewhere],
            [director(), { ...nat, address: "198.51.100.21" }],
            [director(), { ...nat, address: "192.0.2.10" }],
        ] as const) {
            expect(Object.keys(wants("director", inputs, view)).join()).not.toContain("send_redirects");
        }
    });

    test("over IPv6, which has no such setting, it is the real server that does not obey", () => {
        const inputs = { ...nat, service: web6, address: "2001:db8::21" };
        expect(Object.keys(wants("director", inputs, director())).join()).not.toContain("redirects");
        expect(wants("realServer", inputs, server())).toEqual({
            "sysctl net.ipv6.conf.eth1.accept_redirects": "0",
        });
        expect(wants("realServer", nat, server())).toEqual({});
    });
});

describe("the size of segments", () => {
    const sizes = (inputs: object, view?: HostState) =>
        Object.entries(wants("realServer", { forwarding: "tun", ...inputs }, view)).flatMap(([key, value]) =>
            key.startsWith("mss ") ? [[key.slice(4), value]] : [],
        );

    test("follows the MTU of the interface that has the real server's address", () => {
        expect(sizes({}, server())).toEqual([["ipv4/tcp/192.0.2.100/80", 1440]]);
        expect(sizes({}, server({ mtu: "eth0 1500\neth1 9000\n" }))).toEqual([["ipv4/tcp/192.0.2.100/80", 8940]]);
        expect(sizes({}, server({ address: addresses("eth0 10.0.2.21/24") }))).toEqual([]);
    });

    test("is what was asked for, or left alone, and is tcp's", () => {
        expect(sizes({ tunnel: { mss: 1300 } }, server())).toEqual([["ipv4/tcp/192.0.2.100/80", 1300]]);
        expect(sizes({ tunnel: { mss: "none" } }, server())).toEqual([]);
        expect(sizes({ service: { ...web, protocol: "udp" } }, server())).toEqual([]);
        expect(sizes({}, server(factsWith("tool.nft=")))).toEqual([]);
    });
});

test("by nat a gateway that is declared is the host's default route of its family, and else none is touched", () => {
    const nat = { forwarding: "nat" };
    expect(wants("realServer", { ...nat, gateway: "192.0.2.10" }, server())).toEqual({
        "route ipv4/default": "default via 192.0.2.10 proto static",
    });
    expect(
        wants("realServer", { ...nat, service: web6, address: "2001:db8::21", gateway: "2001:DB8::10" }),
    ).toMatchObject({ "route ipv6/default": "default via 2001:db8::10 proto static metric 1" });
    expect(wants("realServer", nat, server())).toEqual({});
});

test("a real server that redirects has neither the VIP nor settings for it", () => {
    const own = wants("realServer", { forwarding: "dr", accept: "redirect" }, server());
    expect(own).toEqual({ "table inet pulumi_lvs": "1", "redirect ipv4/tcp/192.0.2.100/80": "192.0.2.21" });
});

test("by iptables, which sees answers before they get the VIP back, segments are sized for the real server's own address", () => {
    const inputs = { forwarding: "tun", accept: "redirect" };
    const sizes = (view: HostState, more = {}) =>
        Object.keys(wants("realServer", { ...inputs, ...more }, view)).filter((key) =>
            /^(mss|redirect|table) /.test(key),
        );
    expect(sizes(server())).toEqual([
        ...["table inet pulumi_lvs", "mss ipv4/tcp/192.0.2.100/80"],
        "redirect ipv4/tcp/192.0.2.100/80",
    ]);
    const only = server(factsWith("tool.nft=", "tool.iptables=yes"));
    expect(sizes(only)).toEqual([
        ...["table iptables PULUMI-LVS", "mss iptables ipv4/tcp/192.0.2.21/80"],
        "redirect iptables ipv4/tcp/192.0.2.100/80",
    ]);
    expect(sizes(only, { accept: "address" })).toEqual([
        "table iptables PULUMI-LVS",
        "mss iptables ipv4/tcp/192.0.2.100/80",
    ]);
    // There is nothing for IPv6 on such a host.
    expect(sizes(only, { accept: "address", service: web6 })).toEqual([]);
});

test("by tun its tunnel device gets the real server's own address, without which the kernel drops what comes by it", () => {
    const own = wants("realServer", { forwarding: "tun", accept: "redirect" }, server());
    expect(Object.keys(own).filter((key) => key.startsWith("address "))).toEqual([
        expect.stringMatching(/^address lvs-ipip-\w+\/192\.0\.2\.21\/32$/),
    ]);
});

test("a device that is not there is made where it is named like a dummy device", () => {
    expect(wants("realServer", { device: "dummy0" }, server())).toMatchObject({
        "link dummy0": { type: "dummy" },
        "address dummy0/192.0.2.100/32": { deprecated: false, silent: true },
    });
    expect(wants("realServer", { device: "eth2" }, server())).not.toHaveProperty(["link eth2"]);
});
