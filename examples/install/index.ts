import { remote, type types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as lvs from "pulumi-lvs";

type Connection = types.input.remote.ConnectionArgs;

/** Packages that a host needs for its part. */
const packages = {
    director: ["ipvsadm", "iproute2", "iputils-arping", "kmod", "nftables", "procps"],
    realServer: ["iproute2", "kmod", "nginx-light", "procps"],
};

/** Packages first, then the farm: what is set up on a host waits for the host's packages. */
async function program() {
    // The same connections that lvs:hosts names, because @pulumi/command wants them as values.
    const hosts = new pulumi.Config("lvs").requireSecretObject<Record<string, Connection>>("hosts");
    const connection = (name: string) => hosts.apply((all) => all[name]!);

    const install = (host: string, wanted: string[]) =>
        new remote.Command(`packages-${host}`, {
            connection: connection(host),
            create: `DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends ${wanted.join(" ")}`,
            triggers: [wanted],
        });

    const lb1 = new lvs.Director(
        "lb1",
        { connection: "lb1", interface: "eth0" },
        { dependsOn: install("lb1", packages.director) },
    );
    const web = new lvs.VirtualService("web", {
        director: lb1,
        protocol: "tcp",
        address: "10.77.1.100",
        port: 80,
        scheduler: "wrr",
    });
    const addresses = { web1: "10.77.1.21", web2: "10.77.1.22" };
    const realServers = Object.entries(addresses).map(
        ([name, address]) =>
            new lvs.RealServer(
                name,
                { service: web, address, forwarding: "dr", connection: name },
                { dependsOn: install(name, packages.realServer) },
            ),
    );
    return { url: pulumi.interpolate`http://${web.address}/`, realServers: realServers.map(({ id }) => id) };
}

// Pulumi calls the function that a program exports; a test or a program of one's own takes it by its name.
export = Object.assign(program, { program });
