// What the page is told to draw: `cargo xtask dashboards screenshots` writes it in front of
// the program.

export interface Target {
  refId: string;
  expr: string;
  legendFormat: string;
  instant: boolean;
  format: 'time_series' | 'table';
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: Target[];
  options: any;
  fieldConfig?: { defaults: any; overrides: any[] };
  transformations?: any[];
}

export interface Task {
  dashboard: { title: string; panels: Panel[]; templating: { list: Array<{ name: string; label: string }> } };
  /** Address of Prometheus. */
  prometheus: string;
  /** Seconds since 1970. */
  from: number;
  to: number;
  /** Seconds between two scrapes. */
  scrape: number;
  /** Where Grafana's icons are. */
  icons: string;
}

declare global {
  interface Window {
    TASK: Task;
    __grafana_public_path__: string;
  }
}

export const task: Task = window.TASK;
