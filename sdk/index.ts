/** Linux Virtual Server as code: directors, virtual services and real servers. Nothing here talks to a host. */

import "./onePulumi";

export type {
    ClusterRealServerArgs,
    ClusterServiceArgs,
    LvsClusterArgs,
} from "./cluster";
export { LvsCluster } from "./cluster";
export type { ConnectionArgs, ProxyConnectionArgs } from "./connection";
export type {
    DirectorArgs,
    FtpArgs,
    KernelFacts,
    MasqueradeArgs,
    SyncArgs,
    SyncDaemonArgs,
    TimeoutsArgs,
} from "./director";
export { Director } from "./director";
export type { FirewallMark, MarkArgs, Protocol, ServiceAddress } from "./identity";
export type { RealServerArgs } from "./realServer";
export { RealServer } from "./realServer";
export type {
    DirectorReference,
    DirectorReferenceArgs,
    ServiceReference,
    ServiceReferenceArgs,
} from "./reference";
export type { DrainArgs, InlineRealServerArgs, OwnTunnelArgs, RuleArgs, TunnelArgs } from "./rule";
export type {
    InlineServiceArgs,
    PersistenceArgs,
    Scheduler,
    SchedulerFlag,
    ServiceArgs,
    VipArgs,
} from "./service";
export type { VirtualServiceArgs } from "./virtualService";
export { VirtualService } from "./virtualService";
