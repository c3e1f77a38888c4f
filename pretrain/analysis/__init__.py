"""What makes for good views: how much two views share, sweeps over it, views that are learned, the views for a set."""
