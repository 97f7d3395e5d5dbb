// Every kind the controller reconciles.
import type { KubeObject } from '../kube/types.ts';
import type { Kind } from '../reconcile/kind.ts';
import { fieldJob } from './fieldjob/index.ts';

/** What the installation decides for all resources. */
export interface KindSettings {
  images: { field: string };
  imagePullPolicy?: string;
}

export function kinds({ images, imagePullPolicy }: KindSettings): Kind<KubeObject>[] {
  const common = imagePullPolicy ? { imagePullPolicy } : {};
  return [fieldJob({ image: images.field, ...common })] as Kind<KubeObject>[];
}
