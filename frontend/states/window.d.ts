export {}

declare global {
  interface Window {
    layoutShift: number
  }
}
