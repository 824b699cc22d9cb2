"""The pages: views that validate a form, call one service and render one template."""
