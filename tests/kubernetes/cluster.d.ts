// Of CloudNativePG's Cluster (postgresql.cnpg.io/v1) what deploy/kubernetes uses, after that project's reference.
import type { IObjectMeta } from '@kubernetes-models/apimachinery/apis/meta/v1/ObjectMeta';

interface IResources {
    requests?: { cpu?: string; memory?: string };
    limits?: { cpu?: string; memory?: string };
}

export interface ICluster {
    apiVersion: 'postgresql.cnpg.io/v1';
    kind: 'Cluster';
    metadata: IObjectMeta;
    spec: {
        instances: number;
        imageName?: string;
        enableSuperuserAccess?: boolean;
        bootstrap?: {
            initdb?: {
                database?: string;
                owner?: string;
                encoding?: string;
                localeProvider?: 'builtin' | 'icu' | 'libc';
                builtinLocale?: string;
                dataChecksums?: boolean;
            };
        };
        postgresql?: {
            parameters?: Record<string, string>;
            synchronous?: { method: 'any' | 'first'; number: number; dataDurability?: 'required' | 'preferred' };
        };
        storage?: { size?: string; storageClass?: string };
        affinity?: { podAntiAffinityType?: 'preferred' | 'required'; topologyKey?: string };
        resources?: IResources;
    };
}
