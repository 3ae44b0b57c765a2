"""Reading and serving a file of `dashcam.export`, in a store of its own."""
