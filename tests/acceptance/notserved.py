"""The one list of what MLflow's client can ask and our suite does not: because no server is asked, or ours has none."""

from __future__ import annotations

# The function is not offered: the server answers 501 with this name, or the client itself never comes to ask.
NOT_OFFERED = {
    "client.*mcp_*": "501 mcp-servers",
    "mlflow.genai.*mcp_*": "501 mcp-servers",
    "mlflow.genai.*scorer": "501 scorers",
    "mlflow.log_issue": "501 issues",
    "client.unlink_traces_from_run": "MLflow's own REST client does not implement it",
    "mlflow.import_checkpoints": "only inside Databricks",
    "mlflow.genai.*labeling_session*": "only inside Databricks",
    "mlflow.genai.get_review_app": "only inside Databricks",
    "mlflow.genai.optimize_prompt*": "501 prompt-optimization where it is a job; else it asks a language model",
}
# No tracking server is asked, or only by the functions below, which the suite does try.
LOCAL = (
    "mlflow.doctor",
    "mlflow.login",
    "mlflow.run",
    "mlflow.test",
    "client.get_workspace_store_uri",
    "mlflow.is_tracking_uri_set",
    "mlflow.evaluate",
    "mlflow.validate_evaluation_results",
    "mlflow.genai.make_judge",
    "mlflow.genai.make_scorer_ensemble",
    "mlflow.genai.test_agent",
    "mlflow.genai.to_predict_fn",
    "mlflow.genai.enable_git_model_versioning",
    "mlflow.genai.disable_git_model_versioning",
)
# Services of the protocol's tables that are Databricks' own.
FOREIGN = (
    "mlflow.DatabricksMlflowArtifactsService",
    "mlflow.databricks.DatabricksTrackingService",
    "mlflow.filesystem.FilesystemService",
    "mlflow.managedcatalog.DatabricksUnityCatalogService",
    "mlflow.ucmodelregistry.UcModelRegistryService",
    "mlflow.unitycatalog.UnityCatalogPromptService",
    "mlflow.unitycatalog.UnityCatalogService",
)
# Addresses that no client asks: 404.
UNASKED = {
    "GET /mlflow/get-online-trace-details": "Databricks' own page asks it",
    "GET /mlflow/unified-traces": "Databricks' own page asks it",
}
