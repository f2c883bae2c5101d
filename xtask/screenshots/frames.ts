// Makes data frames ready to be drawn: transformations, then units, colours and names of the
// panel's field configuration, as Grafana applies them.

import {
  DataFrame,
  Field,
  FieldType,
  GrafanaTheme2,
  getDisplayProcessor,
  getFieldDisplayName,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

import { Panel } from './task';

/** What the dashboards use of Grafana's transformations. */
const { groupingToMatrixTransformer, mergeTransformer, organizeFieldsTransformer } = standardTransformers;

standardTransformersRegistry.setInit(() =>
  [groupingToMatrixTransformer, mergeTransformer, organizeFieldsTransformer].map((transformer: any) => ({
    id: transformer.id,
    name: transformer.name,
    transformation: async () => transformer,
    editor: () => null,
    imageDark: '',
    imageLight: '',
  }))
);

export async function prepared(frames: DataFrame[], panel: Panel, theme: GrafanaTheme2): Promise<DataFrame[]> {
  const steps = panel.transformations ?? [];
  const context = { interpolate: (text: string) => text };
  const changed = steps.length > 0 ? await firstValueFrom(transformDataFrame(steps, frames, context)) : frames;
  let index = 0;
  const configured = changed.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) => {
      const seriesIndex = field.type === FieldType.number ? index++ : undefined;
      return withConfig(field, frame, changed, panel, seriesIndex);
    }),
  }));
  if (panel.type === 'bargauge') {
    shareScale(configured);
  }
  for (const frame of configured) {
    for (const field of frame.fields) {
      field.display = getDisplayProcessor({ field, theme, timeZone: 'browser' });
    }
  }
  return configured;
}

function withConfig(field: Field, frame: DataFrame, all: DataFrame[], panel: Panel, seriesIndex?: number): Field {
  const isNumber = field.type === FieldType.number;
  const defaults = structuredClone(panel.fieldConfig?.defaults ?? {});
  // A unit is for numbers; Grafana's formatter leaves texts alone, but not times.
  const config = { ...(field.type === FieldType.time ? {} : defaults), ...field.config };
  const name = field.config.displayName ?? getFieldDisplayName(field, frame, all);
  for (const override of panel.fieldConfig?.overrides ?? []) {
    if (override.matcher.id === 'byName' && override.matcher.options === name) {
      for (const property of override.properties) {
        set(config, property.id, structuredClone(property.value));
      }
    }
  }
  for (const step of config.thresholds?.steps ?? []) {
    step.value = step.value ?? -Infinity;
  }
  // Colours of thresholds are meant for what is counted.
  if (!isNumber && config.custom?.cellOptions) {
    config.custom = { ...config.custom, cellOptions: { type: 'auto' } };
  }
  return { ...field, config, state: { ...field.state, seriesIndex } };
}

function set(config: any, path: string, value: unknown) {
  const [head, ...rest] = path.split('.');
  if (rest.length === 0) {
    config[head] = value;
    return;
  }
  config[head] = config[head] ?? {};
  set(config[head], rest.join('.'), value);
}

/** All bars have one scale: that of the longest, unless the panel says its end. */
function shareScale(frames: DataFrame[]) {
  const numbers = frames.flatMap((frame) => frame.fields.filter((field) => field.type === FieldType.number));
  const most = Math.max(0, ...numbers.flatMap((field) => field.values.map((value) => value ?? 0)));
  for (const field of numbers) {
    field.config.max = field.config.max ?? most;
  }
}

/** Whether there is anything to draw. */
export function isEmpty(frames: DataFrame[]): boolean {
  return !frames.some((frame) =>
    frame.fields.some((field) => field.type === FieldType.number && field.values.some((value) => value !== null))
  );
}
