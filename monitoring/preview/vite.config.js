import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// Grafana's packages expect what webpack gives them.
export default defineConfig({
  plugins: [react()],
  define: { 'process.env': {}, global: 'globalThis' },
  build: { minify: false, chunkSizeWarningLimit: 99999 },
});
