import { httpRequest, httpServer } from "./http";
import { promises } from "./scenario";

const DIRECTOR = "10.77.1.10";

/** Who says that the VIP is its own, by the addresses of the cards: the hosts of the segment whose answer comes. */
const HOLDERS = "arping -c 2 -w 5 -I eth1 10.77.1.100 | sed -n 's/.*\\[\\(.*\\)\\].*/\\1/p' | sort -u";

describe("examples/dr", () => {
    promises(
        {
            example: "dr",
            director: "lb1",
            shares: { web1: 2, web2: 1 },
            // Exact but for once: of 20 requests one more went to the second real server.
            tolerance: 1,
            serve: httpServer,
            request: httpRequest,
            resources: 4,
            weight: { edit: ["weight: 2", "weight: 4"], shares: { web1: 4, web2: 1 } },
            port: 80,
            scheduler: "wrr",
            control: {
                what: "that real servers do not answer for the VIP",
                undo: {
                    hosts: ["web1", "web2"],
                    script: "sysctl -qw net.ipv4.conf.eth0.arp_ignore=0 net.ipv4.conf.eth0.arp_announce=0",
                },
                look: { host: "router", script: HOLDERS, good: /^\S+\n$/ },
            },
        },
        (running) => {
            test("with cold neighbour caches every request arrives at the director", async () => {
                // The kernel adds its counters up every two seconds.
                const stats = "sleep 4; ipvsadm -Ln --stats --exact | sed -n 's/^TCP *[^ ]* *\\([0-9]*\\) .*/\\1/p'";
                const before = Number(await running.lab.sh("lb1", stats));
                const cold = "ip neigh flush dev eth0";
                for (let round = 0; round < 3; round += 1) {
                    await Promise.all(["lb1", "web1", "web2"].map((host) => running.lab.sh(host, cold)));
                    await running.lab.sh("router", "ip neigh flush dev eth1");
                    expect(await running.lab.sh("client", httpRequest("10.77.1.100"))).toMatch(/^web[12]\n$/);
                    const [vip, director] = (
                        await running.lab.sh(
                            "router",
                            `ping -c 1 -w 5 ${DIRECTOR} >/dev/null; ip -4 neigh show 10.77.1.100; ip -4 neigh show ${DIRECTOR}`,
                        )
                    )
                        .split("\n")
                        .map((line) => /lladdr (\S+)/.exec(line)?.[1]);
                    expect(vip).toBe(director);
                    expect(vip).toBeDefined();
                }
                expect(Number(await running.lab.sh("lb1", stats))).toBe(before + 3);
            });
        },
    );
});
