import * as pulumi from "@pulumi/pulumi";
import * as lvs from "pulumi-lvs";

/**
 * Provisions the topology that the stack's config describes: `lvs:topology`, a map of directors, services and real
 * servers, as one LvsCluster that is called by `lvs:cluster` (default: lvs). The outputs are the IDs of what was made.
 */
export async function program(): Promise<Record<string, unknown>> {
    const config = new pulumi.Config("lvs");
    const cluster = new lvs.LvsCluster(config.get("cluster") ?? "lvs", topologyOf(config));
    return {
        directors: Object.values(cluster.directors).map(({ id }) => id),
        services: Object.values(cluster.services).flatMap((each) => Object.values(each).map(({ id }) => id)),
        realServers: Object.values(cluster.realServers).flatMap((services) =>
            Object.values(services).flatMap((each) => Object.values(each).map(({ id }) => id)),
        ),
    };
}

/** The topology as it is written; LvsCluster and the provider look at what is in it. */
function topologyOf(config: pulumi.Config): lvs.LvsClusterArgs {
    const file = `Pulumi.${pulumi.getStack()}.yaml`;
    const text = config.get("topology");
    if (text === undefined) {
        throw new pulumi.RunError(
            `config lvs:topology is missing: describe directors, services and realServers in ${file} (see topology/README.md)`,
        );
    }
    const topology = parsed(text);
    if (topology === null || typeof topology !== "object" || Array.isArray(topology)) {
        throw new pulumi.RunError(
            `config lvs:topology: expected a map with directors, services and realServers in ${file} (see topology/README.md)`,
        );
    }
    return topology as lvs.LvsClusterArgs;
}

/** A structured value of the config arrives as JSON. */
function parsed(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}
