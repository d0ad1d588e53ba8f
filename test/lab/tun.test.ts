import { httpRequest, httpServer } from "./http";
import { promises } from "./scenario";

/** Packets that came out of our tunnel device. */
const UNWRAPPED = "cat /sys/class/net/lvs*/statistics/rx_packets";

describe("examples/tun", () => {
    promises(
        {
            example: "tun",
            director: "lb1",
            shares: { web1: 2, web2: 1 },
            tolerance: 0,
            serve: httpServer,
            request: httpRequest,
            resources: 4,
            weight: { edit: ["weight: 2", "weight: 4"], shares: { web1: 4, web2: 1 } },
            port: 80,
            scheduler: "wrr",
            control: {
                what: "that the tunnel's device does not filter by the way back",
                undo: {
                    hosts: ["web1", "web2"],
                    script: "cd /proc/sys/net/ipv4/conf && for device in lvs*; do echo 1 >$device/rp_filter; done",
                },
                look: { host: "client", script: "curl -sS -m 4 http://10.77.1.100/", good: /^web[12]\n$/ },
            },
        },
        (running) => {
            test("requests come to the real servers wrapped, and answers go past the director", async () => {
                const both = () => Promise.all(["web1", "web2"].map((host) => running.lab.sh(host, UNWRAPPED)));
                const sent = "cat /sys/class/net/eth0/statistics/tx_bytes";
                const big = "head -c 200000 /dev/zero >/srv/www/big";
                await Promise.all(["web1", "web2"].map((host) => running.lab.sh(host, big)));
                const before = { unwrapped: (await both()).map(Number), sent: await running.lab.sh("lb1", sent) };
                const fetch = "curl -sS -m 30 -o /dev/null -w '%{size_download}\\n' http://10.77.1.100/big";
                expect(await running.lab.sh("client", [fetch, fetch, fetch].join(" && "))).toBe("200000\n".repeat(3));
                const after = { unwrapped: (await both()).map(Number), sent: await running.lab.sh("lb1", sent) };
                after.unwrapped.forEach((packets, at) => {
                    expect(packets).toBeGreaterThan(before.unwrapped[at]!);
                });
                // What the director sent in the meantime is requests and acknowledgements alone.
                expect(Number(after.sent) - Number(before.sent)).toBeLessThan(200_000);
            });
        },
    );
});
