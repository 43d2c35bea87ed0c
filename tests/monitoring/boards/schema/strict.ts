// The dashboards' JSON as Grafana's own types describe it, with no key more than those know.
// Two things differ between the types and JSON: enumerations are plain strings there, and options
// that are left out take their defaults.
import type * as grafana from '@grafana/schema';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as statetimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';

type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer U>
      ? Array<Json<U>>
      : T extends object
        ? { [K in keyof T]: Json<T[K]> }
        : T;
type Some<T> = T extends Array<infer U> ? Array<Some<U>> : T extends object ? { [K in keyof T]?: Some<T[K]> } : T;
type Source = { type: 'prometheus'; uid: '${datasource}' };

interface Target {
  exemplar?: true;
  interval?: '1m';
  refId: string;
  datasource: Source;
  editorMode: 'code';
  expr: string;
  legendFormat: string;
  format: 'time_series' | 'table' | 'heatmap';
  instant: boolean;
  range: boolean;
}

interface Panel<Kind extends string, Options, Custom = never> {
  id: number;
  type: Kind;
  title: string;
  description: string;
  gridPos: { x: number; y: number; w: number; h: number };
  interval?: string;
  datasource: Source;
  links: grafana.DashboardLink[];
  targets: Target[];
  fieldConfig: {
    defaults: Omit<grafana.FieldConfig, 'custom'> & { custom?: Some<Custom> };
    overrides: grafana.FieldConfigSource['overrides'];
  };
  options: Some<Options>;
  transformations?: grafana.DataTransformerConfig[];
}

type AnyPanel =
  | Panel<'stat', stat.Options>
  | Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Panel<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Panel<'state-timeline', statetimeline.Options, statetimeline.FieldConfig>
  | Panel<'bargauge', bargauge.Options>
  | Panel<'table', table.Options, table.FieldConfig>
  | grafana.RowPanel;

// What the data source reads of an annotation; Grafana's own type stops at what all sources share.
interface Annotation extends Omit<grafana.AnnotationQuery, 'datasource'> {
  datasource: Source;
  expr: string;
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
  useValueForTime: boolean;
}

type Variable = Omit<grafana.VariableModel, 'current'> & { definition?: string; current: Some<grafana.VariableOption> };

export type Dashboard = Json<
  Omit<grafana.Dashboard, 'panels' | 'annotations' | 'templating'> & {
    panels: AnyPanel[];
    annotations: { list: Annotation[] };
    templating: { list: Variable[] };
  }
>;
