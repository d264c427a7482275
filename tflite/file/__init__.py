"""The .tflite file: read, edited, looked into and run."""
